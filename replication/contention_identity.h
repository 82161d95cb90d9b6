// SPDX-License-Identifier: Apache-2.0
//
// The identity of a contention point: named by the decision that first ordered it, so it is the
// same in every replica although addresses are not. Kept in the object's tag (32 bits, never 0).
#pragma once

#include <atomic>
#include <cstdint>

#include "libmeta_os/mutex_tag.h"
#include "replication/decision.h"
#include "replication/divergence.h"

namespace auxin::replication {

inline uint32_t fresh_identity(const Decision& decision) {
  const uint64_t mixed =
      (decision.activity() ^ (uint64_t{decision.step()} << 40)) * 0x9E3779B97F4A7C15ull;
  return static_cast<uint32_t>(mixed >> 32) | 1;
}

// Leader: the identity in the tag, made now if there is none.
inline uint32_t identity_for_log(std::atomic_ref<uint64_t> tag, const Decision& decision) {
  uint64_t word = tag.load(std::memory_order_relaxed);
  const uint32_t fresh = os::tag_identity(word) == 0 ? fresh_identity(decision) : 0;
  // Readers of a lock, and those who share a semaphore, may be the first at the same time.
  while (os::tag_identity(word) == 0) {
    if (tag.compare_exchange_weak(word, word | fresh, std::memory_order_relaxed)) return fresh;
  }
  return os::tag_identity(word);
}

// Follower: the object must be the one that the leader acquired.
inline void check_identity(std::atomic_ref<uint64_t> tag, const stm::LogEntry& entry) {
  uint64_t word = tag.load(std::memory_order_relaxed);
  while (os::tag_identity(word) == 0) {
    if (tag.compare_exchange_weak(word, word | entry.object, std::memory_order_relaxed)) return;
  }
  if (const uint32_t identity = os::tag_identity(word); identity != entry.object) {
    diverge("it acquires contention point %x where the leader acquired %llx", identity,
            static_cast<unsigned long long>(entry.object));
  }
}

}  // namespace auxin::replication
