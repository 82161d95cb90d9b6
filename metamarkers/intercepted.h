// SPDX-License-Identifier: Apache-2.0
//
// The table of intercepted functions, by stub: filled by install() (interception.cpp), read by the
// stubs' C++ halves (stub_calls.cpp) on any thread without locks.
//
// Invariant: an entry is complete before the first reference is pointed at its stub, and changes
// only once the module that defined its function is gone.
#pragma once

#include <cstdint>

#include "metamarkers/interception.h"

namespace auxin::markers {

struct Intercepted {
  const JoinPoint* join_point;  // null: the stub is free
  uintptr_t original;           // the function
};

extern Intercepted intercepted[kMaxJoinPoints];

inline constexpr uintptr_t kStubSizeBytes = 16;
extern "C" {
[[gnu::visibility("hidden")]] extern const char auxin_stubs[];
[[gnu::visibility("hidden")]] extern const char auxin_stubs_end[];
}

inline uintptr_t stub_address(int index) {
  return reinterpret_cast<uintptr_t>(auxin_stubs) + static_cast<uintptr_t>(index) * kStubSizeBytes;
}
// The stub at `address`, or -1.
inline int stub_at(uintptr_t address) {
  const auto begin = reinterpret_cast<uintptr_t>(auxin_stubs);
  const auto end = reinterpret_cast<uintptr_t>(auxin_stubs_end);
  if (address < begin || address >= end) return -1;
  return static_cast<int>((address - begin) / kStubSizeBytes);
}

// The actions and the watch in force, or null. Never freed.
const Actions* actions_in_force();
const Watch* watch_in_force();

}  // namespace auxin::markers
