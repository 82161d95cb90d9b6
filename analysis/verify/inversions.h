// SPDX-License-Identifier: Apache-2.0
//
// What went in another order in a second run of the same log: critical sections on one unordered
// lock, and requests that were in the application side by side.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "analysis/verify/behaviour.h"

namespace auxin::analysis {

// Two critical sections on one lock that is not ordered, as they followed each other in the base
// run. In the other run the second came first (or the first had not come yet).
struct Inversion {
  uint32_t first = 0, second = 0;  // in the base run's sections
  bool touches = false;            // one of them is the given activity's
};

// Of the application's own locks, not the middleware's. Those that touch `activity` first, the
// nearest ones before the far ones; the rest by their time.
std::vector<Inversion> find_inversions(const Behaviour& base, const Behaviour& other,
                                       uint64_t activity);

enum class Relation : uint8_t { kBefore, kSideBySide, kAfter };

// Somebody who worked in the application beside the activity in one of the runs, or on another side
// of it in the other one: without a lock between them, they share something.
struct Neighbour {
  uint64_t activity = 0;
  std::string function;
  Relation in_base = Relation::kBefore, in_other = Relation::kBefore;
  bool ordered_between = false;  // both pass one ordered lock, which at most one of them holds
  bool at_rest = false;          // a thread that made no call since the activity began its work
};

// The main thread is nobody's neighbour.
std::vector<Neighbour> find_neighbours(const Behaviour& base, const Behaviour& other,
                                       uint64_t activity);

// The work of an activity; null: there is none. Of several (a thread's) the first.
const Work* work_of(const Behaviour& behaviour, uint64_t activity);

}  // namespace auxin::analysis
