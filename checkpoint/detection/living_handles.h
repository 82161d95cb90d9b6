// SPDX-License-Identifier: Apache-2.0
//
// Which objects behind the pointers of the public header live, and of what kind they are. They are
// entered from their first moment to their last, so that the check can be switched on at any time.
//
// Thread safety: any thread.
#pragma once

#include <cstdint>

#include "checkpoint/outcome.h"

namespace auxin::checkpoint {

enum class HandleKind : uint32_t { kState, kMessage, kImage, kStore, kAssembly, kReceiver, kArena };

// A base class of what a pointer of the header points to; its first, so that both have one address.
template <HandleKind kind>
class Handle {
 public:
  static constexpr HandleKind kKind = kind;
  Handle();
  ~Handle();
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

// kOk if callers are not looked at, or `handle` is a living one of that kind. kWrongCall; a record
// in the process's log tells of it.
Outcome demand_living(const void* handle, HandleKind kind);
// For calls that return no status: the sentence goes to standard error.
bool living_or_told(const void* handle, HandleKind kind, const char* call);

}  // namespace auxin::checkpoint
