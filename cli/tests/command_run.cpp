// SPDX-License-Identifier: Apache-2.0
#include "cli/tests/command_run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "replication/supervisor/group_start.h"
#include "replication/supervisor/processes.h"
#include "replication/supervisor/sentence.h"
#include "tests/harness/kill_one.h"

namespace auxin::cli {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(2);

}  // namespace

bool await(const std::function<bool()>& condition, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(kLookEvery);
  }
  return true;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
}

std::string fake_replica_path() { return AUXIN_FAKE_REPLICA; }

Process::Process(std::vector<std::string> words, const std::string& output_path,
                 const Environment& environment)
    : output_path_(output_path) {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    variables[text.substr(0, text.find('='))] = text.substr(text.find('=') + 1);
  }
  for (const auto& [name, value] : environment) {
    variables[name] = value;
    if (value.empty()) variables.erase(name);
  }
  std::vector<std::string> entries;
  for (const auto& [name, value] : variables) entries.push_back(name + "=" + value);
  auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (std::string& text : texts) result.push_back(text.data());
    result.push_back(nullptr);
    return result;
  };
  const std::vector<char*> arguments = pointers(words), env = pointers(entries);
  const std::string out = output_path + ".out", err = output_path + ".err";
  pid_ = fork();
  if (pid_ == 0) {
    dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
    dup2(open(out.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDOUT_FILENO);
    dup2(open(err.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
    execve(arguments[0], arguments.data(), env.data());
    _exit(127);
  }
}

Process::Process(Process&& other) noexcept
    : output_path_(std::move(other.output_path_)),
      pid_(std::exchange(other.pid_, -1)),
      status_(other.status_) {}

Process::~Process() {
  if (pid_ <= 0 || status_) return;
  kill_one(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Process::signal(int number) const {
  if (!status_) kill_one(pid_, number);
}

bool Process::ended() {
  int status = 0;
  if (!status_ && waitpid(pid_, &status, WNOHANG) == pid_) {
    status_ = supervisor::shell_status(status);
  }
  return status_.has_value();
}

int Process::wait() {
  if (await([this] { return ended(); })) return *status_;
  ADD_FAILURE() << "process " << pid_ << " does not end; it said: " << errors();
  return -1;
}

CommandTest::CommandTest() {
  char pattern[] = "/dev/shm/auxin-test-XXXXXX";
  directory_ = mkdtemp(pattern);
  mkdir(root().c_str(), 0700);
  write_file(path("small.toml"), "[log]\nentries = 4096\npayload = \"1MiB\"\n");
}

CommandTest::~CommandTest() {
  for (const std::string& memory : supervisor::memories_in_use()) {
    if (!memory.starts_with(directory_)) continue;
    if (!HasFailure()) ADD_FAILURE() << "processes of " << memory << " were left running";
    supervisor::kill_members(memory);
  }
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
}

Process CommandTest::auxin(std::vector<std::string> words, const Process::Environment& more) {
  words.insert(words.begin(), AUXIN_COMMAND);
  Process::Environment environment = {{"AUXIN_LIBRARY", AUXIN_EMPTY_LIBRARY},
                                      {"AUXIN_MAPS", AUXIN_TEST_MAPS}};
  for (const auto& [name, value] : more) environment[name] = value;
  return Process(std::move(words), path("command" + std::to_string(counter_++)), environment);
}

CommandTest::Done CommandTest::auxin_done(std::vector<std::string> words,
                                          const Process::Environment& more) {
  Process process = auxin(std::move(words), more);
  const int status = process.wait();
  return {status, process.output(), process.errors()};
}

Process CommandTest::run_fake(std::vector<std::string> server_words,
                              std::vector<std::string> options) {
  std::vector<std::string> words = {"run",          "--name",       "fake",
                                    "--state-dir",  root(),         "--config",
                                    path("small.toml"), "--ready-file", ready_file()};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {"--", fake_replica_path()});
  words.insert(words.end(), server_words.begin(), server_words.end());
  return auxin(std::move(words));
}

std::optional<supervisor::GroupMemory> CommandTest::memory(const std::string& name) const {
  auto opened = supervisor::GroupMemory::open(memory_path(name), true);
  if (!opened) return {};
  return std::move(*opened);
}

int CommandTest::pid_of(int replica) const {
  auto group = memory();
  return group ? group->control().replicas[replica].pid.load() : 0;
}

uint32_t CommandTest::incarnation_of(int replica) const {
  auto group = memory();
  return group ? group->control().replicas[replica].incarnation.load() : 0;
}

replication::Role CommandTest::role_of(int replica) const {
  auto group = memory();
  return group ? group->control().replicas[replica].role.load() : replication::Role::kAbsent;
}

void CommandTest::await_ready(Process& run) {
  const std::string expected = std::to_string(run.pid()) + "\n";  // not one that a dead one left
  ASSERT_TRUE(await([&] { return run.ended() || read_file(ready_file()) == expected; }))
      << run.errors();
  ASSERT_FALSE(run.ended()) << run.errors();
}

bool CommandTest::await_replacement(int id, int old_pid) {
  return await([&] {
    auto group = memory();
    if (!group) return false;
    const auto& slot = group->control().replicas[id];
    return slot.pid.load() != 0 && slot.pid.load() != old_pid && slot.ready.load() == 1;
  });
}

}  // namespace auxin::cli
