// SPDX-License-Identifier: Apache-2.0
#include "replication/turns.h"

#include <atomic>

#include "replication/futex.h"
#include "replication/replica.h"

namespace auxin::replication {
namespace {

std::atomic<uint32_t> waiting{0};
constexpr uint64_t kLookAgainNs = 100'000'000;

std::atomic<uint32_t>* atomic_word(uint32_t* word) {
  return reinterpret_cast<std::atomic<uint32_t>*>(word);
}

void spin_a_little(std::atomic<uint32_t>* word, uint32_t wanted) {
  const uint32_t spin_ns = replica->settings().spin_ns;
  if (spin_ns == 0) return;
  const uint64_t end_ns = monotonic_ns() + spin_ns;
  while (word->load(std::memory_order_acquire) != wanted && monotonic_ns() < end_ns)
    __builtin_ia32_pause();
}

}  // namespace

void await_turn(uint32_t* address, uint32_t before) {
  std::atomic<uint32_t>* word = atomic_word(address);
  if (word->load(std::memory_order_acquire) == before) return;
  spin_a_little(word, before);
  waiting.fetch_add(1);
  for (;;) {
    const uint32_t seen = word->load();
    if (seen == before || replica->leads()) break;
    futex_wait_bits(word, seen, 1u << ((before + 1) % 32), kLookAgainNs);
  }
  waiting.fetch_sub(1);
}

void pass_turn(uint32_t* address, uint32_t count) {
  if (waiting.load() != 0) futex_wake_bits(atomic_word(address), 1u << ((count + 1) % 32));
}

void await_change(uint32_t* address, uint32_t seen) {
  waiting.fetch_add(1);
  if (atomic_word(address)->load() == seen)
    futex_wait_bits(atomic_word(address), seen, ~0u, kLookAgainNs);
  waiting.fetch_sub(1);
}

void announce_change(uint32_t* address) {
  if (waiting.load() != 0) futex_wake_bits(atomic_word(address), ~0u);
}

}  // namespace auxin::replication
