// SPDX-License-Identifier: Apache-2.0
//
// Waiting and exclusion below every hook: raw futex calls and a small lock made of them.
//
// Thread safety: as the names say. Nothing here allocates, changes errno, or enters a hook.
#pragma once

#include <linux/futex.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

#include "libmeta_os/raw_syscall.h"

namespace auxin::replication {

using os::raw_syscall;

inline uint64_t monotonic_ns() {
  timespec now;
  raw_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, reinterpret_cast<long>(&now));
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

// Sleeps while *word == expected, at most timeout_ns (0: for ever). Returns 0 or -errno.
inline long futex_wait(std::atomic<uint32_t>* word, uint32_t expected, uint64_t timeout_ns,
                       bool shared = false) {
  timespec timeout{static_cast<time_t>(timeout_ns / 1000000000u),
                   static_cast<long>(timeout_ns % 1000000000u)};
  return raw_syscall(SYS_futex, reinterpret_cast<long>(word),
                     FUTEX_WAIT | (shared ? 0 : FUTEX_PRIVATE_FLAG), expected,
                     timeout_ns ? reinterpret_cast<long>(&timeout) : 0);
}

inline void futex_wake(std::atomic<uint32_t>* word, int count, bool shared = false) {
  raw_syscall(SYS_futex, reinterpret_cast<long>(word),
              FUTEX_WAKE | (shared ? 0 : FUTEX_PRIVATE_FLAG), count);
}

// Waits for one of the 32 turns: only waiters with a common bit are woken.
inline long futex_wait_bits(std::atomic<uint32_t>* word, uint32_t expected, uint32_t bits,
                            uint64_t timeout_ns) {
  const uint64_t end_ns = timeout_ns ? monotonic_ns() + timeout_ns : 0;
  timespec deadline{static_cast<time_t>(end_ns / 1000000000u),
                    static_cast<long>(end_ns % 1000000000u)};
  return raw_syscall(SYS_futex, reinterpret_cast<long>(word),
                     FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
                     timeout_ns ? reinterpret_cast<long>(&deadline) : 0, 0, bits);
}

inline void futex_wake_bits(std::atomic<uint32_t>* word, uint32_t bits) {
  raw_syscall(SYS_futex, reinterpret_cast<long>(word), FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG,
              0x7fffffff, 0, 0, bits);
}

inline void sleep_ns(uint64_t duration_ns) {
  timespec time{static_cast<time_t>(duration_ns / 1000000000u),
                static_cast<long>(duration_ns % 1000000000u)};
  raw_syscall(SYS_nanosleep, reinterpret_cast<long>(&time), 0);
}

// A mutex of one word: 0 free, 1 held, 2 held and waited for. Not recursive, not robust.
class FutexLock {
 public:
  constexpr FutexLock() = default;
  void lock() {
    uint32_t state = 0;
    if (word_.compare_exchange_strong(state, 1, std::memory_order_acquire)) return;
    lock_slow();
  }
  bool try_lock() {
    uint32_t state = 0;
    return word_.compare_exchange_strong(state, 1, std::memory_order_acquire);
  }
  void unlock() {
    if (word_.exchange(0, std::memory_order_release) == 2) futex_wake(&word_, 1);
  }

 private:
  void lock_slow() {
    while (word_.exchange(2, std::memory_order_acquire) != 0) futex_wait(&word_, 2, 0);
  }
  std::atomic<uint32_t> word_{0};
};

// Holds a FutexLock for a scope.
class FutexGuard {
 public:
  explicit FutexGuard(FutexLock& lock) : lock_(lock) { lock_.lock(); }
  ~FutexGuard() { lock_.unlock(); }
  FutexGuard(const FutexGuard&) = delete;
  FutexGuard& operator=(const FutexGuard&) = delete;

 private:
  FutexLock& lock_;
};

}  // namespace auxin::replication
