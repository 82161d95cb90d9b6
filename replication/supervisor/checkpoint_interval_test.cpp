// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/checkpoint_interval.h"

#include <gtest/gtest.h>

namespace auxin::supervisor {
namespace {

TEST(CheckpointInterval, IsDalysOptimum) {
  // 2 ms, one failure a day: sqrt(2 * 0.002 * 86400) - 0.002.
  EXPECT_NEAR(checkpoint_interval_s(0.002, {}), 18.588, 0.001);
  // 60 s a checkpoint, a failure each 5 hours, 10 minutes to take over.
  EXPECT_NEAR(checkpoint_interval_s(60, {5 * 3600.0 * 1000 - 86'400, 999, 600}), 1433.988, 0.01);
}

TEST(CheckpointInterval, IsShorterWhereFailuresAreMoreAndCheckpointsCheaper) {
  const FailureHistory calm{86'400, 0, 0.01}, rough{86'400, 50, 0.01};
  EXPECT_LT(checkpoint_interval_s(0.002, rough), checkpoint_interval_s(0.002, calm));
  EXPECT_LT(checkpoint_interval_s(0.001, calm), checkpoint_interval_s(0.004, calm));
}

TEST(CheckpointInterval, StaysWithinItsBounds) {
  EXPECT_EQ(checkpoint_interval_s(1e-9, {1, 1'000'000, 0}), 1);
  EXPECT_EQ(checkpoint_interval_s(1e6, {}), 3600);
  EXPECT_GT(checkpoint_interval_s(0, {}), 1) << "a cost that is not known yet";
}

}  // namespace
}  // namespace auxin::supervisor
