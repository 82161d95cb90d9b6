// SPDX-License-Identifier: Apache-2.0
//
// The objects of a trace: locks, conditions and connections, each under one number for as long as
// it lives. Addresses and descriptor numbers are used again; so an object begins with its making
// (or its first use, where its making was not seen) and ends with its destruction.
//
// Threads' events are taken in the order of time: an object that one thread makes and another uses
// is the same one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/trace/trace.h"

namespace auxin::analysis {

enum class ObjectKind : uint8_t {
  kMutex, kRwlock, kSemaphore, kSpin, kBarrier, kOnce, kCondition, kConnection
};
const char* name_of(ObjectKind kind);

inline constexpr uint32_t kNoObject = ~0u;

struct TraceObject {
  ObjectKind kind = ObjectKind::kMutex;
  uint64_t address = 0;      // or descriptor
  uint32_t made_path = 0;    // where it was made; 0: not seen
  uint32_t first_path = 0;   // of its first use
  uint16_t made_in = recording::kNoJoinPoint;  // join point that it was made in
  uint16_t made_by = 0;      // row of the call that made it, where made_path is known
  uint64_t uses = 0, ordered = 0, intercepted = 0;
};

struct TraceObjects {
  std::vector<TraceObject> objects;
  // Per thread and event: its object, and of a wait on a condition the mutex; kNoObject: none.
  std::vector<std::vector<uint32_t>> of_event;
  std::vector<std::vector<uint32_t>> second_of_event;  // empty where no event has one
};

TraceObjects find_objects(const Trace& trace);

}  // namespace auxin::analysis
