// SPDX-License-Identifier: Apache-2.0
//
// From failures to their cause: each failing rehearsal is compared with its base run; what they
// have in common is the explanation.
//
// A pair of critical sections on an unordered lock goes before everything else, if it was there in
// most failures: it says what to order. Without one, two pieces of work that were side by side
// share something that no lock guards; of several, those that were there in most failures, that no
// ordered lock keeps apart, and that are not the same function twice. Work that had nobody beside
// it replied with a value of its own.
//
// Thread safety: one thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "analysis/verify/behaviour.h"
#include "cli/verify/verify_report.h"

namespace auxin::cli {

// A base run's recording, read.
struct BaseBehaviour {
  analysis::Trace trace;
  analysis::Behaviour behaviour;
  analysis::IsMiddleware is_middleware;
  std::vector<std::string> application_modules;  // paths
};
// An error: the recording can't be read.
Result<BaseBehaviour> read_base(const std::string& trace_path);

class Explainer {
 public:
  // A failure and its recording, beside its base run.
  void add(const Failure& failure, const std::string& trace_path, const BaseBehaviour& base);
  // The recording of a rehearsal that agreed: what changed places there is less to blame.
  void add_agreed(const std::string& trace_path, const BaseBehaviour& base);
  uint64_t count() const { return count_; }
  uint64_t agreed_count() const { return agreed_count_; }
  Explanation explain() const;

 private:
  struct Pair {
    std::string lock_kind;
    bool ordered_between = false;
    uint64_t seen = 0;       // in how many failures
    uint64_t touching = 0;   // in how many it touched the failing request
  };
  using Functions = std::vector<std::string>;  // two, sorted

  std::map<Functions, Pair> locks_, neighbours_;
  std::map<std::string, uint64_t> alone_;  // functions that replied differently with nobody beside
  std::vector<std::string> value_calls_;   // that the application imports and nobody agrees on
  bool mostly_locks() const;
  bool never_the_same() const;
  std::string joined_calls() const;

  std::vector<std::set<Functions>> touching_;  // of each failure: pairs on unordered locks
  std::map<uint64_t, std::multiset<std::string>> replies_;  // that differed, of each activity
  std::string replied_;                        // the function that did so last
  std::set<Functions> harmless_;
  uint64_t count_ = 0, agreed_count_ = 0;
};

}  // namespace auxin::cli
