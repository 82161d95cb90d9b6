// SPDX-License-Identifier: Apache-2.0
//
// What `auxin locks` tells of a recording: all synchronisation calls against those that Auxin
// intercepts and those that it orders, per request and in all.
//
//   OS only      a single-level system knows nothing of what a lock is for: it intercepts every
//                call and orders every acquisition
//   multi-level  what reached a meta-object here, and what was ordered
//
// Source: paper 004, slides 12 and 42 (203 calls in a request, 3 intercepted).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/locks/caller_layers.h"
#include "analysis/locks/requests.h"
#include "analysis/trace/trace.h"

namespace auxin::analysis {

// Calls of the synchronisation families, by what became of them.
struct CallCounts {
  uint64_t calls = 0;         // all
  uint64_t acquisitions = 0;  // of these, what a system that orders everything has to order
  uint64_t intercepted = 0;   // reached a meta-object
  uint64_t ordered = 0;       // had their order settled
  void operator+=(const CallCounts& other);
};

// Over the requests of the steady state.
struct Distribution {
  double median = 0, low = 0, high = 0;  // 5th and 95th percentile
  double least = 0, most = 0;
  double mean = 0;
};

struct PerRequest {
  Distribution calls, acquisitions, intercepted, ordered;
  Distribution duration_us;
};

// A row of a table: one value of a key, e.g. one library.
struct LockTableRow {
  std::string name;      // operation, call, library …
  std::string of;        // join point: its library; call path: the call
  CallCounts in_requests, outside, warm_up;
  uint64_t requests = 0;  // operation: how many of them; otherwise in how many it occurs
  PerRequest per_request; // operation only
};

// A node of the tree of call paths: a function in its callers' context.
struct CallTreeNode {
  std::string function, library;
  CallCounts own;                    // calls made by this very node
  CallCounts sum;                    // and by all below
  std::vector<CallTreeNode> children;  // most calls first
};

struct TimelineStep {
  double at_us = 0, duration_us = 0;
  std::string what;      // the call or the join point
  std::string library, caller;
  int depth = 0;         // of markers
  enum class Verdict : uint8_t { kMark, kPassed, kIntercepted, kOrdered } verdict = Verdict::kMark;
  // A call: on whose behalf. A mark: whose code is behind it (an upcall leads to the application).
  CallerLayer layer = CallerLayer::kMiddleware;
  bool synchronises = false;  // counts as a synchronisation call; otherwise input, time …
  std::string join_point;  // innermost marker
  int64_t result = 0;
};

// One request of the steady state with a median number of calls.
struct Timeline {
  std::string operation;
  std::string thread;
  double duration_us = 0;
  std::vector<TimelineStep> steps;
};

struct LockReport {
  std::string title;
  uint64_t requests = 0, warm_up_requests = 0;
  double duration_s = 0;
  CallCounts in_requests, outside, warm_up;  // the first: of the steady state
  PerRequest per_request;
  std::vector<LockTableRow> by_operation, by_call, by_library, by_join_point, by_path;
  CallTreeNode tree;         // from the threads' beginnings
  Timeline timeline;
  std::vector<std::string> remarks;  // of the recording; lost events
};

LockReport make_lock_report(const Trace& trace, const std::string& title,
                            uint32_t warm_up = kDefaultWarmUp);

}  // namespace auxin::analysis
