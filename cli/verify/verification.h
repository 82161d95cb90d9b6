// SPDX-License-Identifier: Apache-2.0
//
// The whole of `auxin verify`: base runs, rehearsals of each, explanations of what failed, and a
// trial without each selected lock.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/verify/verify_report.h"
#include "stmemu/result.h"

namespace auxin::cli {

inline constexpr uint64_t kMostSchedulesPerBase = 25;  // where nothing else is said

struct VerifyPlan {
  std::vector<std::string> server, loads;
  std::string state_load, configuration;
  int ready_timeout_s = 60;
  bool mute = false;                   // what server and loads print goes nowhere
  uint64_t schedules = 100;
  uint64_t schedules_per_base = kMostSchedulesPerBase;
  uint64_t seed = 1;
  int jobs = 4;
  double stall_s = 3;
  bool minimal = true;
  std::string keep;                    // directory for a failure; "": none
  // --replay BASE:SEED: this schedule alone.
  std::optional<uint64_t> only_base, only_seed;
  // Told now and then how far it is. May be empty.
  std::function<void(const std::string&)> progress;
};

// An error says what to do.
Result<VerifyReport> verify_server(const VerifyPlan& plan);

// --replay DIRECTORY: the schedules that failed there, on the log that they failed on.
Result<VerifyReport> replay_kept(const std::string& directory, const VerifyPlan& plan);

}  // namespace auxin::cli
