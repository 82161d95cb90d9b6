// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string_view>

#include "replication/environment.h"
#include "replication/supervisor/descriptor.h"
#include "replication/supervisor/initial_copy.h"

namespace auxin::supervisor {
namespace {

constexpr char kPreloadVariable[] = "LD_PRELOAD";

// The library before what is preloaded already, once.
std::string preload_list(const std::string& library, std::string_view present) {
  std::string list = library;
  while (!present.empty()) {
    const size_t end = present.find_first_of(": ");
    const std::string_view entry = present.substr(0, end);
    if (!entry.empty() && entry != library) list += fmt::format(":{}", entry);
    if (end == std::string_view::npos) break;
    present.remove_prefix(end + 1);
  }
  return list;
}

std::vector<std::string> environment_for(const Launch& launch, int replica) {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos) {
      variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  for (const auto& [name, value] : launch.environment) variables[name] = value;
  variables[kPreloadVariable] = preload_list(launch.library, variables[kPreloadVariable]);
  variables[replication::kGroupVariable] = launch.memory_path;
  variables[replication::kReplicaVariable] = std::to_string(replica);

  const std::string directory = launch.working_directory.empty()
                                    ? std::filesystem::current_path().string()
                                    : launch.working_directory;
  std::string own;
  for (const std::string& path : paths_of_replica(launch.arguments, replica, directory)) {
    std::error_code unknown;  // then it is not there yet, nor is what leads to it
    const std::string real = std::filesystem::weakly_canonical(path, unknown);
    own += (own.empty() ? "" : ":") + (unknown ? path : real);
  }
  variables[replication::kOwnPathsVariable] = own;

  std::vector<std::string> entries;
  for (const auto& [name, value] : variables) entries.push_back(name + "=" + value);
  return entries;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// In the child, after fork: becomes the server, or says why not.
[[noreturn]] void become(const Launch& launch, char** arguments, char** environment,
                         int report_fd) {
  const char* directory = launch.working_directory.c_str();
  setpgid(0, 0);
  const int persona = personality(0xffffffff);
  if (persona >= 0) personality(static_cast<unsigned long>(persona) | ADDR_NO_RANDOMIZE);
  if (!launch.keep_standard_input) {
    const int sink = open("/dev/null", O_RDONLY);
    if (sink > STDIN_FILENO) {
      dup2(sink, STDIN_FILENO);
      close(sink);
    }
  }
  signal(SIGPIPE, launch.ignore_broken_pipe ? SIG_IGN : SIG_DFL);
  sigprocmask(SIG_SETMASK, &launch.signal_mask, nullptr);
  for (const int fd : launch.inherited_fds) fcntl(fd, F_SETFD, 0);
  if (*directory == '\0' || chdir(directory) == 0) {
    execve(launch.program.c_str(), arguments, environment);
  }
  const int error = errno;
  if (write(report_fd, &error, sizeof(error)) < 0) _exit(126);
  _exit(127);
}

}  // namespace

Result<int> start_replica(const Launch& launch, int replica) {
  std::vector<std::string> words;
  for (const std::string& word : launch.arguments) words.push_back(with_replica(word, replica));
  std::vector<std::string> variables = environment_for(launch, replica);
  const std::vector<char*> arguments = pointers(words);
  const std::vector<char*> environment = pointers(variables);

  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return Error{fmt::format("cannot make a pipe: {}", strerrordesc_np(errno))};
  }
  Descriptor reading(ends[0]), writing(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return Error{fmt::format("cannot start a process: {}", strerrordesc_np(errno))};
  if (pid == 0) {
    become(launch, const_cast<char**>(arguments.data()), const_cast<char**>(environment.data()),
           writing.get());
  }
  writing.reset();
  int error = 0;
  ssize_t size;
  do {
    size = read(reading.get(), &error, sizeof(error));
  } while (size < 0 && errno == EINTR);
  if (size != static_cast<ssize_t>(sizeof(error))) return pid;  // closed by the exec

  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return Error{fmt::format("{}: cannot be started: {}", launch.program, strerrordesc_np(error))};
}

Result<int> restore_replica(const Launch& launch, const std::string& restorer,
                            const std::vector<std::string>& segments, int replica,
                            const StandbyEnds& standby) {
  Launch restored = launch;
  restored.program = restorer;
  restored.arguments = {"auxin-restore", "--parameter", std::to_string(replica)};
  if (standby.pidfd >= 0) {
    restored.arguments.insert(restored.arguments.end(),
                              {"--wait-for", std::to_string(standby.pidfd), "--updates-from",
                               std::to_string(standby.updates)});
    restored.inherited_fds = {standby.pidfd, standby.updates};
  }
  restored.arguments.insert(restored.arguments.end(), segments.begin(), segments.end());
  return start_replica(restored, replica);
}

}  // namespace auxin::supervisor
