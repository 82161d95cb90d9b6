// SPDX-License-Identifier: Apache-2.0
#include "replication/rehearsal/schedule.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace auxin::replication {
namespace {

constexpr uint32_t kCalls = 50, kActivities = 200;

std::vector<uint32_t> sleeps_of(const Schedule& schedule) {
  std::vector<uint32_t> sleeps;
  for (uint64_t activity = 1; activity <= kActivities; ++activity) {
    for (uint32_t count = 0; count < kCalls; ++count) {
      sleeps.push_back(schedule.before(activity << 36, count, 0x1000 + count % 20).sleep_us);
    }
  }
  return sleeps;
}

TEST(Schedule, SameSeedHoldsTheSameCallsUp) {
  for (uint64_t seed = 0; seed < 2 * Schedule::kKinds; ++seed) {
    EXPECT_EQ(sleeps_of(Schedule(seed)), sleeps_of(Schedule(seed))) << "seed " << seed;
  }
}

TEST(Schedule, SeedsOfOneKindDiffer) {
  for (uint64_t seed = 0; seed < Schedule::kKinds; ++seed) {
    EXPECT_NE(sleeps_of(Schedule(seed)), sleeps_of(Schedule(seed + Schedule::kKinds)))
        << "seed " << seed;
  }
}

TEST(Schedule, EachKindTakesItsTurn) {
  std::set<Schedule::Kind> kinds;
  for (uint64_t seed = 100; seed < 100 + Schedule::kKinds; ++seed) {
    kinds.insert(Schedule(seed).kind());
  }
  EXPECT_EQ(kinds.size(), Schedule::kKinds);
}

// A request makes some fifty calls. What it is held up must neither vanish nor take over.
TEST(Schedule, HoldsARequestUpForAFewMillisecondsAtMostOnAverage) {
  for (uint64_t seed = 0; seed < 4 * Schedule::kKinds; ++seed) {
    uint64_t sum_us = 0;
    for (const uint32_t sleep_us : sleeps_of(Schedule(seed))) {
      EXPECT_LE(sleep_us, Schedule::kLongestSleepUs);
      sum_us += sleep_us;
    }
    EXPECT_LE(sum_us / kActivities, 4000u) << "seed " << seed;
    if (Schedule(seed).kind() != Schedule::Kind::kSites) {  // which may be sites that nobody passes
      EXPECT_GE(sum_us / kActivities, 50u) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace auxin::replication
