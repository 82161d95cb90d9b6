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
  const uint64_t word = tag.load(std::memory_order_relaxed);
  if (const uint32_t identity = os::tag_identity(word)) return identity;
  const uint32_t identity = fresh_identity(decision);
  tag.store(word | identity, std::memory_order_relaxed);
  return identity;
}

// Follower: the object must be the one that the leader acquired.
inline void check_identity(std::atomic_ref<uint64_t> tag, const stm::LogEntry& entry) {
  const uint64_t word = tag.load(std::memory_order_relaxed);
  const uint32_t identity = os::tag_identity(word);
  if (identity == 0) {
    tag.store(word | entry.object, std::memory_order_relaxed);
  } else if (identity != entry.object) {
    diverge("it acquires contention point %x where the leader acquired %llx", identity,
            static_cast<unsigned long long>(entry.object));
  }
}

}  // namespace auxin::replication
