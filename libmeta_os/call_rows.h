// SPDX-License-Identifier: Apache-2.0
//
// The rows of hook_table.def as data: what a call is named and what kind it is.
#pragma once

#include <cstdint>

namespace auxin::os {

// The families of hook_table.def.
enum class Family : uint8_t {
  mutex, condition, rwlock, semaphore, spin, barrier, once, c11, thread, socket, transfer,
  descriptor, poll, epoll, time, random, identity, scheduling, file, process, signal
};
constexpr uint32_t family_bit(Family family) { return 1u << static_cast<unsigned>(family); }

struct CallRow {
  const char* name;
  Family family;
};
// The rows by number (ObservedCall::row, observation.h): hooks with a fixed list of arguments, in
// table order.
extern const CallRow kCallRows[];
extern const uint16_t kCallRowCount;

}  // namespace auxin::os
