// SPDX-License-Identifier: Apache-2.0
//
// A lock in stable memory whose owner's death is seen by whoever takes it next, at once and by
// name: the failure detector, the election and the fence of a group are made of it.
//
// It is a robust, process-shared mutex held by one *thread*: the kernel marks it when that thread
// ends for whatever reason (measured: 64 to 280 µs after a SIGKILL, whatever the size of the
// process). It is not reentrant. Taken over `pthread_mutex_*` of libc directly (never through the
// hooks): the caller passes the functions to use.
//
// Thread safety: any thread of any process that maps the memory.
#pragma once

#include <pthread.h>
#include <time.h>

#include <cstdint>

namespace auxin::stm {

// libc's functions, as seen behind whatever interposes them.
struct MutexCalls {
  int (*lock)(pthread_mutex_t*);
  int (*trylock)(pthread_mutex_t*);
  int (*clocklock)(pthread_mutex_t*, clockid_t, const timespec*);
  int (*unlock)(pthread_mutex_t*);
  int (*consistent)(pthread_mutex_t*);
};

class alignas(64) RobustLock {
 public:
  enum class Taken {
    kClean,       // it was free
    kOwnerDied,   // its last owner ended while holding it (already made consistent again)
    kBusy,        // another living thread holds it (try and timed forms)
    kFailed,      // errno-like failure; the lock is unusable
  };

  // Must be called once per lock when the memory is created.
  void format();

  Taken lock(const MutexCalls& calls);                            // blocks
  Taken try_lock(const MutexCalls& calls);
  Taken lock_for(const MutexCalls& calls, uint32_t timeout_us);   // CLOCK_MONOTONIC
  void unlock(const MutexCalls& calls);

  // Whether some living thread holds it now, without taking it (a hint).
  bool seems_held() const;
  // The kernel's number of the thread that holds it; 0: nobody. A hint, as above.
  int holder() const;
  // The word that the kernel marks (FUTEX_OWNER_DIED) and wakes at (FUTEX_WAITERS) as the holder
  // ends: for programs without libc that wait for that.
  const void* futex_word() const { return &mutex_.__data.__lock; }
  // Whether the calling thread holds it. A system call.
  bool held_by_caller() const;

 private:
  pthread_mutex_t mutex_;
};
static_assert(sizeof(RobustLock) == 64);

// The calls for programs in which nothing is interposed (the supervisor, the command, tests).
const MutexCalls& plain_mutex_calls();

}  // namespace auxin::stm
