// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/checkpoint_interval.h"

#include <algorithm>
#include <cmath>

namespace auxin::supervisor {

double checkpoint_interval_s(double cost_s, const FailureHistory& history) {
  constexpr double kPriorS = 86'400;
  constexpr double kAssumedCostS = 0.002;
  constexpr double kLeastS = 1, kMostS = 3600;
  const double cost = cost_s > 0 ? cost_s : kAssumedCostS;
  const double between = (history.observed_s + kPriorS) / (history.failures + 1);
  const double optimum = cost < 2 * between
                             ? std::sqrt(2 * cost * (between + history.takeover_s)) - cost
                             : between;
  return std::clamp(optimum, kLeastS, kMostS);
}

}  // namespace auxin::supervisor
