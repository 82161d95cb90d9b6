// SPDX-License-Identifier: Apache-2.0
//
// Closure: nobody may acquire an ordered lock (a contention point) while holding a lock that is not
// ordered and that another activity takes before a contention point of its own. A replica in which
// the other one takes the outer lock first stands still: the one holds it and waits for its turn,
// the other, whose turn it is, waits for the outer lock.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "analysis/verify/behaviour.h"

namespace auxin::analysis {

struct OpenPair {
  std::string outer_function;          // takes the lock that is not ordered
  std::string outer_kind;
  std::string inner_function;          // acquires the contention point under it
  std::string inner_kind;
  std::vector<std::string> others;     // the work of others that take the outer lock on their way
                                       // to a contention point
  uint64_t times = 0;
};

// By the outer and inner functions; the most frequent first.
std::vector<OpenPair> find_open_pairs(const Trace& trace, const Behaviour& behaviour);

}  // namespace auxin::analysis
