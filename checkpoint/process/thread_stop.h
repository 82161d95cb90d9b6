// SPDX-License-Identifier: Apache-2.0
//
// All threads of the process but the caller stop, and go on.
//
//   stop()    every thread gets a signal and parks in its handler. The kernel's frame on its own
//             stack then holds its registers, vector state and signal mask; everything else that
//             the kernel keeps for a thread it can read itself (parked_thread.h).
//   resume()  they go on; a system call that the signal cut short goes on too
//             (interrupted_call.h).
//
// The signal is the one that glibc keeps for setuid in programs with threads: no function of libc
// lets a program block it, so threads that block everything stop too. The handler passes on to
// glibc's what is not meant for it.
//
// Between the two the caller must not allocate, use stdio, or take any lock: a stopped thread may
// hold it. None of these functions do.
//
// Thread safety: one thread at a time, which is not stopped by itself.
#pragma once

#include <cstdint>

#include "checkpoint/process/parked_thread.h"

namespace auxin::checkpoint {

enum class StopStatus : uint32_t {
  kStopped = 0,
  kTooManyThreads = 1,  // more than kMaxParkedThreads
  kNoProc = 2,          // /proc/self/task can't be read
  kPatience = 3,        // a thread did not stop in time: in an uninterruptible call, or so
  kNoMemory = 4,
};

struct StopResult {
  StopStatus status = StopStatus::kStopped;
  int32_t tid = 0;         // kPatience: the thread that did not stop
  int64_t call = -1;       // … and the system call that it was in; -1: not known
  uint32_t thread_count = 0;
  uint64_t begun_ns = 0;   // CLOCK_MONOTONIC: before the first thread was told; before that all run
};

// Blocks until all have stopped, at most patience_ns. If it fails, all run again.
StopResult stop_threads(uint64_t patience_ns);

// Wakes all; does not wait for them.
void resume_threads();

// The stopped threads, in no order. Valid from stop_threads to resume_threads.
uint32_t parked_thread_count();
ParkedThread& parked_thread(uint32_t index);

}  // namespace auxin::checkpoint
