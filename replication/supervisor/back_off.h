// SPDX-License-Identifier: Apache-2.0
//
// How long to wait before a dead replica is started again: not at all the first time, then 50 ms,
// doubled each time up to 5 s; a replica that lived for 10 s starts the count afresh.
#pragma once

#include <algorithm>
#include <cstdint>

namespace auxin::supervisor {

class BackOff {
 public:
  static constexpr int64_t kFirstDelayMs = 50;
  static constexpr int64_t kLongestDelayMs = 5000;
  static constexpr int64_t kHealthyAfterMs = 10000;

  // The replica ended after `lived_ms`; returns the delay before its next start.
  int64_t ended(int64_t lived_ms) {
    if (lived_ms >= kHealthyAfterMs) next_delay_ms_ = 0;
    const int64_t delay = next_delay_ms_;
    next_delay_ms_ = delay == 0 ? kFirstDelayMs : std::min(2 * delay, kLongestDelayMs);
    return delay;
  }

 private:
  int64_t next_delay_ms_ = 0;
};

}  // namespace auxin::supervisor
