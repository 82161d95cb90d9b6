// SPDX-License-Identifier: Apache-2.0
//
// A system call that the stop signal has cut short goes on as if nothing had been.
//
// The kernel starts many calls again by itself (SA_RESTART), but not poll, select, epoll_wait,
// sleeps, sigsuspend, timed semaphores and others (signal(7)): these come back with EINTR, which
// the program would see. Two ways of going on:
//
//   in place   the frame's instruction pointer goes back before the instruction: for calls without
//              a time limit, with an absolute one, and where the kernel has updated it.
//   in handler calls with a relative time limit that the kernel keeps to itself are waited for
//              again in the signal handler, for the rest of the time, with the program's own signal
//              mask; what comes of it goes into the frame. No register of the program's changes.
//
// The rest of the time is known exactly where the kernel tells it. For poll, epoll_wait and sleeps
// without a remainder it is known from the second stop on: the first one may lengthen the wait by
// what had passed of it.
//
// Everything here runs in the signal handler: no locks, no memory, no libc.
#pragma once

#include <ucontext.h>

#include <cstdint>

namespace auxin::checkpoint {

// What /proc/self/task/TID/syscall said just before the stop. number < 0: it was not in a call.
struct CallBefore {
  int64_t number = -1;
  uint64_t rsp = 0, rip = 0;
};

class InterruptedCall {
 public:
  // In the handler, before the thread parks: which call it is, and until when it may wait.
  void examine(const ucontext_t& frame, const CallBefore& before);

  // In the handler, after the stop (also in another process, which has the thread's memory): makes
  // the call go on. May block as long as the call does; another stop may come meanwhile.
  void go_on(ucontext_t& frame);

  // Whether the thread is in a system call, or at the instruction that begins it.
  bool in_call() const { return place_ != Place::kElsewhere; }
  // Instead of go_on(), only if in_call(): the call comes back with EINTR, or is not made at all
  // and seems to have come back so.
  void end(ucontext_t& frame);

 private:
  enum class Place : uint32_t { kElsewhere, kBefore, kAfter };
  enum class Way : uint32_t { kNone, kInPlace, kInHandler };
  // Where in the call's arguments the time limit is.
  enum class Limit : uint32_t { kNone, kMilliseconds, kTimespec };

  void choose(const ucontext_t& frame);

  Place place_ = Place::kElsewhere;
  Way way_ = Way::kNone;
  Limit limit_ = Limit::kNone;
  int limit_argument_ = -1;      // 0..5
  int64_t number_ = -1;
  uint64_t deadline_ns_ = 0;     // on the monotonic clock
};

}  // namespace auxin::checkpoint
