// SPDX-License-Identifier: Apache-2.0
#include "stmemu/entities/signal.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace auxin::stm {

uint32_t signal_of(uint64_t address) {
  return static_cast<uint32_t>(fold(address, kMix[0]) % kSignals);
}

SignalWaiter::SignalWaiter(PhysicalMemory& memory, uint32_t signal)
    : signal_(memory.board().signals[signal]) {
  signal_.waiters.fetch_add(1, std::memory_order_seq_cst);
}

SignalWaiter::~SignalWaiter() { signal_.waiters.fetch_sub(1, std::memory_order_relaxed); }

void SignalWaiter::look() { seen_ = signal_.raised.load(std::memory_order_seq_cst); }

void SignalWaiter::sleep(uint64_t timeout_us) {
  const timespec timeout = {static_cast<time_t>(timeout_us / 1'000'000),
                            static_cast<long>(timeout_us % 1'000'000) * 1000};
  const int error = errno;
  syscall(SYS_futex, &signal_.raised, FUTEX_WAIT, seen_, &timeout, nullptr, 0);
  errno = error;
}

uint64_t monotonic_us() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace auxin::stm
