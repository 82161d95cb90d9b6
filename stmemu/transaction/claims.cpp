// SPDX-License-Identifier: Apache-2.0
//
// Objects that others have: waiting for them, and finding out that waiting would never end.
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "stmemu/transaction/activation.h"
#include "stmemu/transaction/contexts.h"

namespace auxin::stm {
namespace {

constexpr int kSpins = 200;               // before a waiting open() sleeps
constexpr uint64_t kSleepSlice_us = 500;  // the longest sleep before it looks again

uint64_t now_us() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

// Sleeps on a futex word until it is no longer `value`, it is woken, or the time is over.
void sleep_on(std::atomic<uint32_t>& word, uint32_t value, uint64_t timeout_us) {
  const timespec timeout = {static_cast<time_t>(timeout_us / 1'000'000),
                            static_cast<long>(timeout_us % 1'000'000) * 1000};
  const int error = errno;
  syscall(SYS_futex, &word, FUTEX_WAIT, value, &timeout, nullptr, 0);
  errno = error;
}

}  // namespace

bool Activation::try_claim(uint64_t header, size_t index, uint64_t* holder) {
  std::atomic<uint64_t>& owner = memory_.owner_word(header);
  const uint64_t mine = activity_ | index;
  uint64_t seen = owner.load(std::memory_order_acquire);
  while (seen == 0 || OwnerWord::activity_of(seen) == activity_ || !still_runs(memory_, seen)) {
    if (owner.compare_exchange_weak(seen, mine, std::memory_order_acq_rel)) return true;
  }
  *holder = seen;
  return false;
}

// Follows who waits for whom from the holder of `header` on, back to this transaction.
bool Activation::closes_a_circle(uint64_t header) const {
  const Board& board = memory_.board();
  for (uint32_t steps = 0; steps < kContexts; ++steps) {
    const uint64_t holder = memory_.owner_word(header).load(std::memory_order_seq_cst);
    const uint32_t index = OwnerWord::context_of(holder);
    if (holder == 0 || index >= kContexts) return false;
    if (index == context_) return true;
    const Context& other = board.contexts[index];
    if (other.active.load(std::memory_order_acquire) != OwnerWord::activity_of(holder)) {
      return false;
    }
    header = other.waits_for.load(std::memory_order_seq_cst);
    if (header == 0) return false;
  }
  return false;
}

Status Activation::claim_of_other(uint64_t header, size_t index, Wait wait) {
  uint64_t holder = 0;
  if (try_claim(header, index, &holder)) return Status::kOk;
  if (wait.timeout_us == 0) return Status::kConflict;

  Context& mine = context();
  const uint64_t start_us = now_us();
  // Said before looking at the others: of two that close a circle, one at least sees it.
  mine.waits_for.store(header, std::memory_order_seq_cst);
  Status status = Status::kConflict;
  for (int spins = 0;; ++spins) {
    if (try_claim(header, index, &holder)) {
      status = Status::kOk;
      break;
    }
    if (closes_a_circle(header)) {
      status = Status::kDeadlock;
      break;
    }
    if (spins < kSpins) {
      __builtin_ia32_pause();
      continue;
    }
    const uint64_t waited_us = now_us() - start_us;
    if (waited_us >= wait.timeout_us) break;
    Context& other = memory_.board().contexts[OwnerWord::context_of(holder)];
    const uint32_t seen = other.releases.load(std::memory_order_acquire);
    other.waiters.fetch_add(1, std::memory_order_seq_cst);
    if (other.active.load(std::memory_order_seq_cst) == OwnerWord::activity_of(holder)) {
      sleep_on(other.releases, seen, std::min(kSleepSlice_us, wait.timeout_us - waited_us));
    }
    other.waiters.fetch_sub(1, std::memory_order_relaxed);
  }
  mine.waits_for.store(0, std::memory_order_release);
  return status;
}

}  // namespace auxin::stm
