// SPDX-License-Identifier: Apache-2.0
#include "cli/runs/server_run.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "cli/runs/process_tree.h"
#include "replication/supervisor/initial_copy.h"
#include "replication/supervisor/installation.h"

namespace auxin::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kTick(5);
constexpr milliseconds kLook(20);          // at /proc
constexpr milliseconds kQuiet(60);         // without using the processor: it waits for requests
constexpr milliseconds kQuietPatience(5000);
constexpr milliseconds kEndPatience(10000);
constexpr milliseconds kLoadPatience(2000);

std::atomic<bool> interrupt_seen{false};

void note_interrupt(int) { interrupt_seen.store(true); }

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& added) {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string::npos) variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  for (const auto& [name, value] : added) variables[name] = value;
  std::vector<std::string> entries;
  for (const auto& [name, value] : variables) entries.push_back(name + "=" + value);
  return entries;
}

// A child in a process group of its own, whose standard output is our standard error, or nothing.
Result<pid_t> start(std::vector<std::string> words,
                    const std::map<std::string, std::string>& added, bool mute) {
  std::vector<std::string> variables = environment_with(added);
  const std::vector<char*> arguments = pointers(words);
  const std::vector<char*> environment = pointers(variables);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return Error{fmt::format("cannot make a pipe: {}", strerrordesc_np(errno))};
  }
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(127);
    const int sink = open("/dev/null", O_RDWR);
    dup2(sink, STDIN_FILENO);
    dup2(mute ? sink : STDERR_FILENO, STDOUT_FILENO);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    execvpe(arguments[0], arguments.data(), environment.data());
    const int error = errno;
    if (write(ends[1], &error, sizeof error) < 0) _exit(126);
    _exit(127);
  }
  close(ends[1]);
  int error = pid < 0 ? errno : 0;
  if (pid >= 0) {
    ssize_t size;
    do {
      size = read(ends[0], &error, sizeof error);
    } while (size < 0 && errno == EINTR);
    if (size == sizeof error) waitpid(pid, nullptr, 0);
  }
  close(ends[0]);
  if (error != 0) {
    return Error{fmt::format("{}: cannot be started: {}", words[0], strerrordesc_np(error))};
  }
  return pid;
}

int shell_status(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

InterruptNotice::InterruptNotice() {
  interrupt_seen.store(false);
  struct sigaction action = {};
  action.sa_handler = note_interrupt;
  for (size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &action, &before_[i]);
    // Of nohup(1): the end of the terminal is not the end of the command.
    if (kSignals[i] == SIGHUP && before_[i].sa_handler == SIG_IGN) signal(SIGHUP, SIG_IGN);
  }
}

InterruptNotice::~InterruptNotice() {
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before_[i], nullptr);
}

bool InterruptNotice::interrupted() { return interrupt_seen.load(); }

std::optional<int> ServerRun::ended(pid_t pid) {
  int status = 0;
  const pid_t got = waitpid(pid, &status, WNOHANG);
  if (got == pid) return shell_status(status);
  if (got < 0 && errno == ECHILD) return 0;
  return std::nullopt;
}

Result<pid_t> ServerRun::start_server() {
  auto variables = plan_.environment;
  std::vector<std::string> own_words;  // without a group it is what replica 0 would be
  for (const std::string& word : plan_.server) {
    own_words.push_back(supervisor::with_replica(word, 0));
  }
  if (plan_.kind == RunKind::kNative) return start(own_words, variables, plan_.mute);
  if (plan_.kind == RunKind::kPreloaded) {
    auto library = supervisor::find_library();
    if (!library) return Error{library.error()};
    auto maps = supervisor::find_map_directory("");
    if (!maps) return Error{maps.error()};
    const char* present = getenv("LD_PRELOAD");
    variables["LD_PRELOAD"] =
        present != nullptr && *present != '\0' ? *library + ":" + present : *library;
    variables.emplace("AUXIN_MAPS", *maps);
    return start(own_words, variables, plan_.mute);
  }
  ready_file_ = plan_.directory + "/ready";
  char own[4096];  // what /proc/self/exe is must be known before the fork
  const ssize_t size = readlink("/proc/self/exe", own, sizeof own - 1);
  if (size <= 0) return Error{"the command's own file can't be found"};
  std::vector<std::string> words = {std::string(own, static_cast<size_t>(size)), "run", "--quiet",
                                    "--fresh", "--name", "recorded", "--replicas",
                                    std::to_string(plan_.replicas), "--state-dir",
                                    plan_.directory + "/group", "--ready-file", ready_file_};
  if (!plan_.configuration.empty()) {
    words.push_back("--config");
    words.push_back(plan_.configuration);
  }
  words.push_back("--");
  words.insert(words.end(), plan_.server.begin(), plan_.server.end());
  return start(std::move(words), variables, plan_.mute);
}

// It serves when it listens and has nothing to do: a server that listens may still be on its way
// to publishing its address.
std::optional<Error> ServerRun::wait_until_it_serves(const std::function<void()>& tick) {
  const auto begin = Clock::now();
  auto next_look = begin;
  std::optional<Clock::time_point> listens_since, quiet_since;
  uint64_t used = 0;
  for (;;) {
    tick();
    if (InterruptNotice::interrupted()) return Error{"interrupted before the server served"};
    if (auto status = ended(server_)) {
      server_ = 0;
      server_status_ = status;
      return Error{fmt::format("the server ended before it served, with status {}", *status)};
    }
    const auto now = Clock::now();
    if (now - begin > std::chrono::seconds(plan_.ready_timeout_s)) {
      return Error{fmt::format("the server did not listen within {} s", plan_.ready_timeout_s)};
    }
    if (now >= next_look) {
      next_look = now + kLook;
      const std::vector<pid_t> tree = process_tree(server_);
      const bool serves = plan_.kind == RunKind::kGroup
                              ? access(ready_file_.c_str(), F_OK) == 0
                              : listens_since || any_listens(tree);
      if (serves && !listens_since) listens_since = now;
      const uint64_t now_used = processor_time(tree);
      if (now_used != used || !quiet_since || any_wants_processor(tree)) quiet_since = now;
      used = now_used;
      const bool quiet = now - *quiet_since >= kQuiet;
      if (listens_since && (quiet || now - *listens_since > kQuietPatience)) return std::nullopt;
    }
    std::this_thread::sleep_for(kTick);
  }
}

void ServerRun::end_server(const std::function<void()>& tick) {
  if (server_ == 0) return;
  kill(server_, SIGTERM);
  const auto begin = Clock::now();
  while (Clock::now() - begin < kEndPatience) {
    tick();
    if (ended(server_)) {
      server_ = 0;
      return;
    }
    std::this_thread::sleep_for(kTick);
  }
  kill(-server_, SIGKILL);
  while (waitpid(server_, nullptr, 0) < 0 && errno == EINTR) {
  }
  server_ = 0;
}

Result<RunResult> ServerRun::run(const std::function<void()>& tick) {
  auto started = start_server();
  if (!started) return Error{started.error()};
  server_ = *started;
  if (auto error = wait_until_it_serves(tick)) {
    end_server(tick);
    return *error;
  }
  RunResult result;
  auto error = run_loads(plan_.loads, tick, &result);
  const bool good = !error && server_ != 0 && !InterruptNotice::interrupted();
  if (good && !plan_.last_load.empty()) error = run_loads({plan_.last_load}, tick, &result);
  if (error) {
    end_server(tick);
    return *error;
  }
  result.interrupted = InterruptNotice::interrupted();
  end_loads();
  if (plan_.before_the_end) plan_.before_the_end(plan_.directory);
  end_server(tick);
  return result;
}

// Together, until all have ended; without any until the server does. Adds to the result.
std::optional<Error> ServerRun::run_loads(const std::vector<std::string>& lines,
                                          const std::function<void()>& tick, RunResult* result) {
  const auto begin = Clock::now();
  const double before_s = result->load_s;
  auto variables = plan_.load_environment;
  variables["AUXIN_SERVER_PID"] = std::to_string(server_);
  const size_t first = loads_.size();
  for (const std::string& line : lines) {
    auto load = start({"/bin/sh", "-c", line}, variables, plan_.mute);
    if (!load) return Error{load.error()};
    loads_.push_back(*load);
  }
  result->load_statuses.resize(loads_.size(), -1);
  size_t running = lines.size();
  while (server_ != 0 && !InterruptNotice::interrupted() && (running > 0 || lines.empty())) {
    tick();
    for (size_t i = first; i < loads_.size(); ++i) {
      if (loads_[i] == 0) continue;
      const auto status = ended(loads_[i]);
      if (!status) continue;
      loads_[i] = 0;
      result->load_statuses[i] = *status;
      --running;
      result->load_s = before_s + std::chrono::duration<double>(Clock::now() - begin).count();
    }
    if (const auto status = ended(server_)) {
      server_ = 0;
      result->server_status = *status;
    }
    if (running > 0 || lines.empty()) std::this_thread::sleep_for(kTick);
  }
  return std::nullopt;
}

// Those that still run: they have no server any more.
void ServerRun::end_loads() {
  for (const int signal : {SIGTERM, SIGKILL}) {
    for (const pid_t load : loads_) {
      if (load != 0) kill(-load, signal);
    }
    const auto begin = Clock::now();
    while (Clock::now() - begin < kLoadPatience) {
      for (pid_t& load : loads_) {
        if (load != 0 && ended(load)) load = 0;
      }
      if (std::all_of(loads_.begin(), loads_.end(), [](pid_t load) { return load == 0; })) return;
      std::this_thread::sleep_for(kTick);
    }
  }
}

ServerRun::~ServerRun() {
  end_loads();
  end_server([] {});
}

}  // namespace auxin::cli
