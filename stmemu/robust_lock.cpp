// SPDX-License-Identifier: Apache-2.0
//
// RobustLock on glibc's robust, process-shared, error-checking mutex. Error checking because a
// second lock by its owner, or an unlock by another thread, is a mistake of ours and must not hang.
#include "stmemu/robust_lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "stmemu/check.h"

namespace auxin::stm {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

timespec monotonic_after(uint32_t timeout_us) {
  timespec when;
  CHECK(clock_gettime(CLOCK_MONOTONIC, &when) == 0, "the monotonic clock exists");
  const int64_t nanoseconds = when.tv_nsec + static_cast<int64_t>(timeout_us) * 1000;
  when.tv_sec += static_cast<time_t>(nanoseconds / kNanosecondsPerSecond);
  when.tv_nsec = static_cast<long>(nanoseconds % kNanosecondsPerSecond);
  return when;
}

RobustLock::Taken taken(int result, pthread_mutex_t* mutex, const MutexCalls& calls) {
  switch (result) {
    case 0:
      return RobustLock::Taken::kClean;
    case EOWNERDEAD:
      if (calls.consistent(mutex) == 0) return RobustLock::Taken::kOwnerDied;
      calls.unlock(mutex);  // kFailed is never held; this makes it unusable for everyone
      return RobustLock::Taken::kFailed;
    case EBUSY:
    case ETIMEDOUT:
      return RobustLock::Taken::kBusy;
    case EDEADLK:
      check_failed(__FILE__, __LINE__, "result != EDEADLK", "the thread holds this lock already");
    default:
      return RobustLock::Taken::kFailed;
  }
}

}  // namespace

void RobustLock::format() {
  pthread_mutexattr_t attributes;
  CHECK(pthread_mutexattr_init(&attributes) == 0 &&
            pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
            pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0 &&
            pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK) == 0 &&
            pthread_mutex_init(&mutex_, &attributes) == 0,
        "this libc has robust process-shared mutexes");
  pthread_mutexattr_destroy(&attributes);
}

RobustLock::Taken RobustLock::lock(const MutexCalls& calls) {
  return taken(calls.lock(&mutex_), &mutex_, calls);
}

RobustLock::Taken RobustLock::try_lock(const MutexCalls& calls) {
  return taken(calls.trylock(&mutex_), &mutex_, calls);
}

RobustLock::Taken RobustLock::lock_for(const MutexCalls& calls, uint32_t timeout_us) {
  const timespec deadline = monotonic_after(timeout_us);
  return taken(calls.clocklock(&mutex_, CLOCK_MONOTONIC, &deadline), &mutex_, calls);
}

void RobustLock::unlock(const MutexCalls& calls) {
  CHECK(calls.unlock(&mutex_) == 0, "only the thread that holds a lock releases it");
}

bool RobustLock::seems_held() const {
  // The futex word of a robust mutex is its owner's tid; the kernel clears it when the owner dies.
  const int word = __atomic_load_n(&mutex_.__data.__lock, __ATOMIC_ACQUIRE);
  return (static_cast<unsigned>(word) & FUTEX_TID_MASK) != 0;
}

int RobustLock::holder() const {
  return __atomic_load_n(&mutex_.__data.__lock, __ATOMIC_ACQUIRE) & FUTEX_TID_MASK;
}

bool RobustLock::held_by_caller() const {
  const int word = __atomic_load_n(&mutex_.__data.__lock, __ATOMIC_ACQUIRE);
  return (static_cast<unsigned>(word) & FUTEX_TID_MASK) ==
         static_cast<unsigned>(syscall(SYS_gettid));
}

const MutexCalls& plain_mutex_calls() {
  static constexpr MutexCalls kCalls = {pthread_mutex_lock, pthread_mutex_trylock,
                                        pthread_mutex_clocklock, pthread_mutex_unlock,
                                        pthread_mutex_consistent};
  return kCalls;
}

}  // namespace auxin::stm
