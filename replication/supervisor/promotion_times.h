// SPDX-License-Identifier: Apache-2.0
//
// A promotion's record, read whole, and how long the promotion took.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>

#include "replication/group_state.h"

namespace auxin::supervisor {

struct Promotion {
  uint32_t epoch;
  int from, to, from_pid;
  bool hang;                       // the leader was killed for its silence
  uint64_t detected_ns, serving_ns, died_ns;
  uint64_t at_realtime_ns, log_position;

  // Since the leader's death as the kernel knows it, or else since its detection. A successor can
  // notice before the last thread of the dead has gone: that is at once.
  bool since_death() const { return died_ns != 0; }
  uint64_t detect_us() const { return (detected_ns - begun_ns()) / 1000; }
  uint64_t serve_us() const { return (serving_ns - begun_ns()) / 1000; }

 private:
  uint64_t begun_ns() const {
    return since_death() ? std::min(died_ns, detected_ns) : detected_ns;
  }
};

// Nothing: it is just being written (or has never been).
inline std::optional<Promotion> read_promotion(const replication::PromotionRecord& record) {
  const uint32_t before = record.sequence.load(std::memory_order_acquire);
  if (before == 0 || before % 2 != 0) return {};
  Promotion copy{record.epoch,       record.from,       record.to,
                 record.from_pid,    record.reason == 1, record.detected_ns,
                 record.serving_ns,  record.died_ns.load(), record.at_realtime_ns,
                 record.log_position};
  std::atomic_thread_fence(std::memory_order_acquire);
  if (record.sequence.load(std::memory_order_relaxed) != before) return {};
  return copy;
}

}  // namespace auxin::supervisor
