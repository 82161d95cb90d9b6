// SPDX-License-Identifier: Apache-2.0
//
// What a server does that no style orders or shares: noted once, with the module that does it.
//
// The rows live in memory that others read while they are written: the process's own counter block,
// a group's control area, a recording's region. What they mean is said in the command
// (cli/unsupported_lines.h); here are only the facts.
//
// Thread safety: any thread and any process that maps the table; lock-free, allocates nothing, so a
// hook may call add(). A writer that is killed in the middle leaves one row that nobody reads.
#pragma once

#include <atomic>
#include <cstdint>

namespace auxin::os {

// The numbers are in shared memory and in trace files: never reused.
enum class Unsupported : uint16_t {
  kNone = 0,
  kFutex = 1,            // raw futex calls
  kAtomicWait = 2,       // std::atomic::wait and what C++20 builds on it
  kAtomicObject = 3,     // libatomic, boost::atomic: atomics of any size
  kAtomicPointer = 4,    // atomic operations on std::shared_ptr
  kLockFree = 5,         // lock-free containers
  kTimedFuture = 6,      // std::future::wait_for, wait_until
  kSignalHandler = 7,    // a handler for a signal that does not end the process
  kSharedMemory = 8,     // with other processes
  kFile = 9,             // opened for writing, and not the replica's own
  kProcessShared = 10,   // locks, semaphores shared with other processes
  kIoUring = 11,
  kRawValue = 12,        // time or random numbers by raw system calls
  kCancellation = 13,    // pthread_cancel
  kTimer = 14,           // timers that raise signals or start threads
  kRobustMutex = 15,     // no room for a verdict in it
  kMapMissing = 16,      // a join point of a map has no effect; "module" is the map
  kMapTooWide = 17,      // and matches too many functions
};
inline constexpr uint16_t kUnsupportedKinds = 18;

// A short name for machines ("futex"): an interface, never renamed. "" for what is none.
const char* unsupported_name(Unsupported use);

struct UseRow {
  std::atomic<uint32_t> state;     // 0 free, 1 being written, 2 whole
  Unsupported use;
  uint16_t padding;
  std::atomic<uint32_t> replicas;  // a bit for each replica that was seen doing it
  uint32_t padding_word;
  char module[64];                 // file name
  char symbol[176];                // what gives it away: a symbol, a signal, a path (its end)
};
static_assert(sizeof(UseRow) == 256);

inline constexpr uint32_t kMaxUses = 64;
// Paths may be many: they get no more than these, so that there is room for the rest.
inline constexpr uint32_t kMaxFileUses = 32;

struct UseTable {
  std::atomic<uint32_t> lost;      // that found no room
  uint32_t padding[15];
  UseRow rows[kMaxUses];

  // Notes the use, or that this replica does it too. True: it was not known of this replica.
  bool add(Unsupported use, const char* module, const char* symbol, unsigned replica = 0);
  // Everything that is in the other table.
  void add_all(const UseTable& other, unsigned replica = 0);
};
static_assert(sizeof(UseTable) == 64 + 256 * kMaxUses);

}  // namespace auxin::os
