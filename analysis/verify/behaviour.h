// SPDX-License-Identifier: Apache-2.0
//
// What the activities of a recorded run did, as far as their order can matter: the work that each
// did in the application, and the critical sections that it went through.
//
// Activities and their how-many-th passes of a place in the code are the same in another run of the
// same log; addresses, threads and times are not. So two runs are compared by PassKey.
//
// Thread safety: values.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/graph/objects.h"
#include "analysis/trace/trace.h"

namespace auxin::analysis {

// The ordinal-th time that an activity takes a lock at a place in the code.
struct PassKey {
  uint64_t activity = 0;
  uint32_t site = 0;       // module-relative address, hashed with the module's name
  uint32_t ordinal = 0;
  auto operator<=>(const PassKey&) const = default;
};

struct Section {
  PassKey key;
  uint32_t object = kNoObject;  // in Behaviour::objects
  uint32_t path = 0;
  uint32_t thread = 0;          // in the trace
  uint64_t acquired = 0;        // clock
  uint64_t released = 0;        // clock; the end of the recording where that was not seen
  bool ordered = false;
  bool shared = false;          // a reader's
  bool middleware = false;      // the lock was taken by the middleware for itself
  std::vector<uint32_t> held;   // sections of the same thread that were open then, outermost first
};

// A request while the application worked on it, or a thread of the application's.
struct Work {
  uint64_t activity = 0;
  std::string operation;        // "": no request
  std::string function;         // "bank::Account::deposit"; of a thread: the function that it is in
  uint64_t begin = 0, end = 0;  // clock
  uint64_t last_call = 0;       // clock; 0: it made none that is recorded
};

// A call of the middleware's whose order is settled as that of a lock is: a join point of the role
// contention-point.
struct OrderedCall {
  uint64_t activity = 0;
  std::string name;             // of the join point
};

struct Behaviour {
  TraceObjects objects;
  std::vector<Section> sections;  // by the time of their acquisition
  std::vector<Work> works;        // by their beginning
  std::vector<OrderedCall> ordered_calls;
};

// Whether a library is the middleware's or between it and the system: what it locks is its own.
using IsMiddleware = std::function<bool(const std::string& library)>;

// libc and the like, which call for everybody.
bool is_between(std::string_view library);

Behaviour find_behaviour(const Trace& trace, const IsMiddleware& is_middleware);

// The innermost function of a call path that is no mere wrapper (libc's, the C++ library's),
// without arguments: "known::Correct::put". "LIBRARY+0xOFFSET" where it has no name; "" of an empty
// path.
std::string function_of(const Trace& trace, uint32_t path);
// The frame it is in; kNoFrame: none.
inline constexpr uint32_t kNoFrame = ~0u;
uint32_t frame_of(const Trace& trace, uint32_t path);

// A thread that the server itself started, or its main thread; else it is a request.
inline bool is_thread_activity(uint64_t activity) { return activity >> 63 != 0; }

}  // namespace auxin::analysis
