// SPDX-License-Identifier: Apache-2.0
//
// One run of a server with its loads: started, awaited until it serves, loaded, and ended, with
// nothing of it left. Natively, with the bare preload, or as a group (a child `auxin run`).
//
// What it and its loads write on standard output goes to standard error, or nowhere: standard
// output is the command's own. Children end when this process does, however it does.
//
// Thread safety: one thread. Only wait() blocks; it calls `tick` all the while.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "stmemu/result.h"

namespace auxin::cli {

enum class RunKind { kNative, kPreloaded, kGroup };

struct ServerPlan {
  RunKind kind = RunKind::kPreloaded;
  std::vector<std::string> server;        // program and arguments
  std::vector<std::string> loads;         // shell lines, started together once it serves
  std::string last_load;                  // a line that runs alone after them; "" none
  std::map<std::string, std::string> environment;       // of the server, added
  std::map<std::string, std::string> load_environment;  // of the loads, added
  int replicas = 1;                       // kGroup
  std::string configuration;              // kGroup: path of a configuration file; "" none
  std::string directory;                  // for its own files
  int ready_timeout_s = 60;
  bool mute = false;                      // standard output of server and loads goes nowhere
  // For what must happen before the server ends: called once the loads are done, with `directory`.
  // May be empty.
  std::function<void(const std::string&)> before_the_end;
};

struct RunResult {
  double load_s = 0;                  // from the start of the loads to the end of the last
  std::vector<int> load_statuses;     // as the shell gives them: 128 + n for signal n; the last
                                      // load's behind the others'
  std::optional<int> server_status;   // if it ended by itself
  bool interrupted = false;           // by a signal to this command
};

class ServerRun {
 public:
  explicit ServerRun(ServerPlan plan) : plan_(std::move(plan)) {}
  ~ServerRun();
  ServerRun(const ServerRun&) = delete;
  ServerRun& operator=(const ServerRun&) = delete;

  // The whole run; without loads until the server ends or a signal comes (SIGINT, SIGTERM). An
  // error: it could not be started, did not serve in time, or ended before it served.
  Result<RunResult> run(const std::function<void()>& tick);

 private:
  Result<pid_t> start_server();
  std::optional<Error> wait_until_it_serves(const std::function<void()>& tick);
  std::optional<Error> run_loads(const std::vector<std::string>& lines,
                                 const std::function<void()>& tick, RunResult* result);
  void end_loads();
  void end_server(const std::function<void()>& tick);
  std::optional<int> ended(pid_t pid);  // its status, once; as the shell gives it

  ServerPlan plan_;
  pid_t server_ = 0;           // 0: not running
  std::string ready_file_;
  std::optional<int> server_status_;
  std::vector<pid_t> loads_;
};

// SIGINT, SIGTERM and SIGHUP are taken note of, instead of ending the process, while one of these
// lives. A SIGHUP that was ignored stays ignored.
class InterruptNotice {
 public:
  InterruptNotice();
  ~InterruptNotice();
  InterruptNotice(const InterruptNotice&) = delete;
  InterruptNotice& operator=(const InterruptNotice&) = delete;
  static bool interrupted();

 private:
  static constexpr std::array<int, 3> kSignals = {SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, kSignals.size()> before_ = {};
};

}  // namespace auxin::cli
