// SPDX-License-Identifier: Apache-2.0
//
// The requests in a trace: where each begins and ends on its thread.
//
// A request is what lies between entering and leaving the outermost dispatcher join point, if a
// request was taken up inside; where a middleware has no dispatcher, the request or upcall join
// point itself (maps/FORMAT.md has the roles).
//
// The first requests of a thread are its warm-up: memory is allocated, locks are classified,
// connections grow.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/trace/trace.h"

namespace auxin::analysis {

inline constexpr uint32_t kDefaultWarmUp = 3;  // requests of each thread

struct Request {
  uint32_t thread = 0;        // index in Trace::threads
  size_t first = 0, last = 0; // its events there: the marks of entering and leaving
  std::string operation;      // "(locate)", "(unknown)": it has none
  bool warm_up = false;
  bool reached_application = false;
};

// In the order of their threads, and of their beginning in each.
std::vector<Request> find_requests(const Trace& trace, uint32_t warm_up = kDefaultWarmUp);

}  // namespace auxin::analysis
