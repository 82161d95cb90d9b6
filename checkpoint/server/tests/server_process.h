// SPDX-License-Identifier: Apache-2.0
//
// `auxin checkpoint-server` in a process of its own, which can be killed and started again.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/harness/kill_one.h"

namespace auxin::checkpoint::test {

// The command with its output in a pipe. *pid: of the process.
inline int start_command(const std::vector<std::string>& words, bool errors_too, pid_t* pid) {
  int ends[2];
  if (pipe(ends) != 0) return -1;
  *pid = fork();
  if (*pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(ends[1], 1);
    if (errors_too) dup2(ends[1], 2);
    close(ends[0]);
    close(ends[1]);
    std::vector<char*> arguments = {const_cast<char*>(AUXIN_COMMAND)};
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    execv(AUXIN_COMMAND, arguments.data());
    _exit(127);
  }
  close(ends[1]);
  return ends[0];
}

inline std::string output_of(const std::vector<std::string>& words) {
  pid_t pid = -1;
  const int from = start_command(words, true, &pid);
  std::string output;
  char bytes[512];
  for (ssize_t got; (got = read(from, bytes, sizeof(bytes))) > 0;) {
    output.append(bytes, static_cast<size_t>(got));
  }
  close(from);
  waitpid(pid, nullptr, 0);
  return output;
}

class ServerProcess {
 public:
  ServerProcess(const std::string& directory, std::vector<std::string> more)
      : words_({"checkpoint-server", "serve", directory}) {
    words_.insert(words_.end(), more.begin(), more.end());
    start();
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess() {
    if (pid_ > 0) kill_and_wait();
  }

  // Returns when it serves.
  void start() {
    const int from = start_command(words_, false, &pid_);
    std::string line;
    char byte = 0;
    while (read(from, &byte, 1) == 1 && byte != '\n') line += byte;
    close(from);
    const std::string before = " serving at ";
    const size_t at = line.find(before), end = line.rfind(" (pid");
    if (at == std::string::npos || end == std::string::npos) {
      ADD_FAILURE() << "it does not serve: " << line;
      return;
    }
    address_ = line.substr(at + before.size(), end - at - before.size());
  }
  void kill_and_wait() { static_cast<void>(end_with(SIGKILL)); }
  // Its exit status; -1: a signal killed it.
  int end_with(int signal_number) {
    kill_one(pid_, signal_number);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  // Whether a signal has ended it; then it can be started again.
  bool has_been_killed() {
    int status = 0;
    if (pid_ <= 0 || waitpid(pid_, &status, WNOHANG) != pid_) return false;
    pid_ = -1;
    return WIFSIGNALED(status);
  }
  bool runs() const { return pid_ > 0; }
  const std::string& address() const { return address_; }

 private:
  std::vector<std::string> words_;
  std::string address_;
  pid_t pid_ = -1;
};

}  // namespace auxin::checkpoint::test
