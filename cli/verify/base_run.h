// SPDX-License-Identifier: Apache-2.0
//
// A base run: the server as a group of one replica under its loads, disturbed by a schedule of its
// own and recorded. What remains is what rehearsals need: the group's memory with its finished log,
// and the recording.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stmemu/result.h"

namespace auxin::cli {

struct BasePlan {
  std::vector<std::string> server;
  std::vector<std::string> loads;
  std::string state_load;           // runs alone after them; "" none
  std::string configuration;        // of the group: path of a file; "" none
  int ready_timeout_s = 60;
  bool mute = false;                // what server and loads print goes nowhere
  std::string directory;            // gets the memory and the trace; this user's alone
};

struct BaseRun {
  std::string memory_path, trace_path;
  uint64_t seed = 0;                // of the leader's schedule
  std::string leave_out;
  uint64_t end_position = 0;        // of the log, when the loads were done
  uint64_t requests = 0, replies = 0;
  double load_s = 0;
};

// `seed` and `leave_out`: as replication/environment.h says. The files of an earlier base run in
// the directory are replaced. An error says what to do.
Result<BaseRun> make_base_run(const BasePlan& plan, uint64_t seed, const std::string& leave_out);

}  // namespace auxin::cli
