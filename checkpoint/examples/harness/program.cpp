// SPDX-License-Identifier: Apache-2.0
#include "program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

namespace auxin::checkpoint::test {

Program::Program(std::vector<std::string> words, std::string output)
    : words_(std::move(words)), output_(std::move(output)) {
  std::vector<char*> arguments;
  for (std::string& word : words_) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const char* const to = output_.empty() ? "/dev/null" : output_.c_str();
    const int file = open(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0 || dup2(file, STDOUT_FILENO) < 0) _exit(126);
    execv(arguments[0], arguments.data());
    _exit(126);
  }
}

Program Program::killed_at(uint64_t step, std::vector<std::string> words, std::string output) {
  words.insert(words.begin(), {AUXIN_EXAMPLE_KILLED_AT, std::to_string(step)});
  Program program(std::move(words), std::move(output));
  program.kill_signal_ = SIGUSR1;  // so that it is gone when its killer is
  return program;
}

Program::Program(Program&& other) noexcept
    : words_(std::move(other.words_)),
      output_(std::move(other.output_)),
      pid_(std::exchange(other.pid_, -1)),
      kill_signal_(other.kill_signal_),
      status_(other.status_) {}

Program& Program::operator=(Program&& other) noexcept {
  kill();
  words_ = std::move(other.words_);
  output_ = std::move(other.output_);
  pid_ = std::exchange(other.pid_, -1);
  kill_signal_ = other.kill_signal_;
  status_ = other.status_;
  return *this;
}

Program::~Program() { kill(); }

bool Program::runs() {
  if (pid_ <= 0) return false;
  if (waitpid(pid_, &status_, WNOHANG) != pid_) return true;
  pid_ = -1;
  return false;
}

void Program::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

void Program::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, kill_signal_);
  waitpid(pid_, &status_, 0);
  pid_ = -1;
}

int Program::wait(int limit_ms) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
  while (runs()) {
    if (std::chrono::steady_clock::now() > end) {
      ADD_FAILURE() << words_[0] << " has not ended within " << limit_ms << " ms";
      kill();
    } else {
      usleep(500);
    }
  }
  return status_;
}

bool is_alive(pid_t pid) {
  std::string status(512, '\0');  // by read: a process may vanish while its file is open
  const int file = open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC);
  const ssize_t got = file < 0 ? -1 : read(file, status.data(), status.size());
  if (file >= 0) close(file);
  if (got <= 0) return false;
  const size_t name_end = status.rfind(')');
  if (name_end == std::string::npos) return false;
  const char letter = status[name_end + 2];
  return letter != 'Z' && letter != 'X';
}

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> lines_of(const std::string& path) {
  std::istringstream text(contents(path));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

}  // namespace auxin::checkpoint::test
