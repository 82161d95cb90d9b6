// SPDX-License-Identifier: Apache-2.0
//
// From failures to their cause: what the evidence of several has in common is the explanation.
//
// A pair of critical sections on an unordered lock goes before everything else, if it was there in
// most failures: it says what to order. Without one, two pieces of work that were side by side
// share something that no lock guards; of several, those that were there in most failures, that are
// no waiting thread's, that no ordered lock keeps apart, and that are not one function twice. That
// is a guess, so those that come next are named too. Work that had nobody beside it replied with a
// value of its own.
//
// Thread safety: one thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "cli/verify/evidence.h"
#include "cli/verify/verify_report.h"

namespace auxin::cli {

class Explainer {
 public:
  void add(Evidence evidence);
  // A failure of whose recording nothing is known.
  void add_unknown() { ++count_; }
  // What changed places in a rehearsal that agreed is less to blame.
  void add_agreed(const std::vector<FunctionPair>& pairs);
  uint64_t count() const { return count_; }
  uint64_t agreed_count() const { return agreed_count_; }
  Explanation explain() const;

 private:
  struct Sections {
    std::string lock_kind;
    uint64_t seen = 0;       // in how many failures
    uint64_t touching = 0;   // in how many it touched the failing request
  };
  struct Beside {
    bool ordered_between = true, at_rest = true;  // in all failures
    uint64_t seen = 0;
  };

  bool mostly_sections() const;
  bool never_the_same() const;
  std::string joined_calls() const;
  std::vector<FunctionPair> ranked_beside() const;
  bool explain_by_lock(Explanation* result) const;
  bool explain_by_value(Explanation* result) const;
  void explain_by_race(Explanation* result) const;

  std::map<FunctionPair, Sections> sections_;
  std::map<FunctionPair, Beside> beside_;
  std::map<std::string, uint64_t> alone_;  // functions that replied differently, nobody beside
  std::vector<std::string> value_calls_;   // that the application imports and nobody agrees on
  std::vector<std::set<FunctionPair>> touching_;  // of each failure: pairs on unordered locks
  std::map<uint64_t, std::multiset<std::string>> replies_;  // that differed, of each activity
  std::string replied_;                    // the function that did so last
  std::set<FunctionPair> harmless_;
  uint64_t count_ = 0, agreed_count_ = 0;
};

}  // namespace auxin::cli
