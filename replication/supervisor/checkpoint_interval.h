// SPDX-License-Identifier: Apache-2.0
//
// How often to take a checkpoint ([checkpoint] every_s = "auto"): Daly's first-order optimum,
//
//     T = sqrt(2 C (M + R)) - C, or M where C is 2 M or more,
//
// for a checkpoint that costs C, failures that are M apart on average, and a takeover that takes R
// (J. T. Daly, A higher order estimate of the optimum checkpoint interval for restart dumps, 2006;
// J. W. Young, 1974). C is how long a replica stands still, M what the group has seen, from a
// prior of one failure a day. What was lost is replayed faster than it was done, so this errs
// towards too often.
#pragma once

#include <cstdint>

namespace auxin::supervisor {

struct FailureHistory {
  double observed_s = 0;     // since the group began
  uint32_t failures = 0;     // of leaders, in that time
  double takeover_s = 0;     // how long the latest one took
};

// Seconds, from 1 to 3600. `cost_s`: of one checkpoint, 0: not known yet.
double checkpoint_interval_s(double cost_s, const FailureHistory& history);

}  // namespace auxin::supervisor
