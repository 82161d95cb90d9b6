// SPDX-License-Identifier: Apache-2.0
//
// Rehearsals of a base run, several at a time: each is a process of its own that goes through the
// finished log under a schedule (replication/rehearsal/).
//
// A rehearsal has a folder in the work directory for its report and its recording, which is kept
// (as a trace) only where it failed. The files that the server's arguments name with {replica} are
// each rehearsal's own, and put back as they were before each.
//
// Thread safety: one thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/verify/base_run.h"
#include "replication/rehearsal/report.h"
#include "replication/supervisor/initial_copy.h"
#include "replication/supervisor/launch.h"
#include "stmemu/result.h"

namespace auxin::cli {

inline constexpr int kMostRehearsalsAtOnce = 7;  // replica numbers beside the leader's

enum class RehearsalEnd : uint8_t { kAgreed, kDiverged, kStalled, kCrashed };

struct Rehearsed {
  uint64_t seed = 0;
  RehearsalEnd end = RehearsalEnd::kAgreed;
  int crash_status = 0;              // of wait(2), where it crashed
  uint64_t replies = 0;              // compared
  uint64_t position = 0;             // in the log, how far it came
  double seconds = 0;
  replication::RehearsalReport const* report = nullptr;  // while `judge` looks at it
  std::string trace_path;            // "": it agreed (keep_all_traces), or nothing was recorded
};

class Rehearsals {
 public:
  struct Plan {
    std::vector<std::string> server;
    std::string directory;           // for its own files; this user's alone
    int jobs = 1;
    uint32_t stall_ms = 3000;
  };
  // Keeps what the server's arguments name with {replica}. An error: the server can't be started.
  static Result<Rehearsals> prepare(const Plan& plan);
  Rehearsals(Rehearsals&&) noexcept;
  ~Rehearsals();  // ends what runs, puts the {replica} files back

  // Puts back what the leader of a base run finds.
  Result<bool> prepare_base_run() { return initial_copy_.put_back(0); }

  // From now on also the recordings of rehearsals that agree are there for `judge`.
  void keep_all_traces(bool keep) { keep_all_traces_ = keep; }

  // The seeds first, first + 1 … of the base run, `count` of them, or fewer if `judge` returns
  // false. An error: something that is not the server's fault, or an interrupt.
  Result<bool> run(const BaseRun& base, uint64_t first, uint64_t count,
                   const std::function<bool(const Rehearsed&)>& judge);

 private:
  struct Job {
    int id = 0;                      // of the replica, from 1
    std::string directory;
    pid_t pid = 0;                   // 0: none runs
    uint64_t seed = 0;
    uint64_t started_ns = 0;
    replication::RehearsalReport* report = nullptr;  // mapped
  };
  explicit Rehearsals(Plan plan);
  Result<bool> start(Job& job, const BaseRun& base, uint64_t seed);
  Result<Rehearsed> conclude(Job& job, const BaseRun& base, int status);
  void end(Job& job);

  Plan plan_;
  supervisor::Launch launch_;
  supervisor::InitialCopy initial_copy_;
  std::vector<Job> jobs_;
  bool keep_all_traces_ = false;
};

}  // namespace auxin::cli
