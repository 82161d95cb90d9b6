// SPDX-License-Identifier: Apache-2.0
//
// What is known of a thread while it is stopped, and what it takes to make it again elsewhere.
//
// Written by the saver (what it saw from outside, before the signal) and by the thread itself in
// its handler. In a restored process the records are in memory as they were.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "checkpoint/process/interrupted_call.h"
#include "checkpoint/process/saved_context.h"

namespace auxin::checkpoint {

inline constexpr uint32_t kMaxParkedThreads = 4096;

struct SchedulingAttributes {   // of sched_setattr(2)
  uint32_t size_bytes;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime_ns, deadline_ns, period_ns;
};

struct ParkedThread {
  // kGone: it ended first, or was given up: a signal that comes late finds that and returns.
  enum State : uint32_t { kGone = 0, kAsked = 1, kParking = 2, kParked = 3 };

  std::atomic<uint32_t> state{0};
  uint32_t round = 0;           // which stop it is
  int32_t tid = 0;              // the kernel's, in the process that it was stopped in
  CallBefore before;
  uint32_t in_call = 0;         // 1: it stopped in a system call, or at its instruction

  SavedContext context{};       // goes on in the handler
  // Set by the owner when the thread arrives in a new process: it goes on there, and not in the
  // call that it was in. Null: as ever.
  const SavedContext* elsewhere = nullptr;
  uint32_t ends_call = 0;       // the same: 1: that call comes back with EINTR (only if in_call)
  uint32_t is_main = 0;         // 1: the process's first thread
  uint64_t thread_pointer = 0;  // FS base
  uint64_t clear_tid = 0;       // address that the kernel clears at its end (pthread_join waits)
  int32_t libcs_number = 0;     // what stands there: not the kernel's in a restored process
  uint64_t robust_list = 0;     // head of the robust list, as the kernel knows it
  uint64_t robust_list_size_bytes = 0;
  char name[16] = "";
  uint64_t processors[16] = {};  // that it may run on, by bit
  SchedulingAttributes scheduling{};
};

}  // namespace auxin::checkpoint
