// SPDX-License-Identifier: Apache-2.0
//
// The locks that were ordered in a recorded run, as a programmer knows them: a lock is all call
// sites that take the same objects. One member mutex of many objects is one lock; so is a lock that
// the compiler made two call sites for.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "analysis/verify/behaviour.h"

namespace auxin::analysis {

struct SelectedLock {
  std::string kind;                    // "mutex"; "join points": calls that are ordered like a lock
  std::vector<std::string> functions;  // that take it, by name; of join points: theirs
  std::vector<std::string> sites;      // all calls on it, as what is left out is named
                                       // (replication/rehearsal/leave_out.h)
  uint64_t acquisitions = 0;
  uint64_t objects = 0;
  uint64_t activities = 0;             // the most that took one and the same object
};

// Most acquisitions first; join points last.
std::vector<SelectedLock> find_selected_locks(const Trace& trace, const Behaviour& behaviour);

}  // namespace auxin::analysis
