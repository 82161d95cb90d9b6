// SPDX-License-Identifier: Apache-2.0
//
// When a dead replica is started again, and when the group must not go on.
#include <gtest/gtest.h>
#include <signal.h>

#include "replication/activity.h"
#include "replication/supervisor/back_off.h"
#include "replication/supervisor/poison_watch.h"

namespace auxin::supervisor {
namespace {

TEST(BackOff, FirstAtOnceThenDoubledUpToFiveSeconds) {
  BackOff back_off;
  const int64_t kExpected[] = {0, 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000};
  for (const int64_t delay_ms : kExpected) EXPECT_EQ(back_off.ended(20), delay_ms);
}

TEST(BackOff, ALongLifeStartsAfresh) {
  BackOff back_off;
  for (int i = 0; i < 6; ++i) back_off.ended(20);
  EXPECT_EQ(back_off.ended(BackOff::kHealthyAfterMs), 0);
  EXPECT_EQ(back_off.ended(BackOff::kHealthyAfterMs - 1), 50);
}

RequestInHand request(uint64_t connection, uint64_t ordinal) {
  return {replication::request_activity_id(connection, ordinal), 40 + ordinal, 7,
          "withdraw"};
}

TEST(PoisonWatch, TwoCrashesInOneRequestAreFound) {
  PoisonWatch watch;
  EXPECT_TRUE(watch.idle());
  EXPECT_FALSE(watch.crashed({0, 1, SIGSEGV, {request(3, 1), request(4, 9)}}));
  EXPECT_FALSE(watch.idle());
  EXPECT_FALSE(watch.crashed({1, 1, SIGSEGV, {request(5, 2)}}));
  const auto poison = watch.crashed({2, 1, SIGABRT, {request(6, 1), request(4, 9)}});
  ASSERT_TRUE(poison);
  EXPECT_EQ(describe(*poison),
            "request 7 (withdraw) on connection 4 (log position 49) killed replica 0 by SIGSEGV "
            "and replica 2 by SIGABRT");
}

TEST(PoisonWatch, OneReplicaMayCrashTwice) {
  PoisonWatch watch;
  EXPECT_FALSE(watch.crashed({0, 1, SIGSEGV, {request(3, 1)}}));
  EXPECT_TRUE(watch.crashed({0, 2, SIGSEGV, {request(3, 1)}}));
}

TEST(PoisonWatch, OneCrashIsNotCountedTwice) {
  PoisonWatch watch;
  EXPECT_FALSE(watch.crashed({0, 1, SIGSEGV, {request(3, 1)}}));
  EXPECT_FALSE(watch.crashed({0, 1, SIGSEGV, {request(3, 1)}}));
}

TEST(PoisonWatch, CrashesWithoutARequestAreNoPoison) {
  PoisonWatch watch;
  EXPECT_FALSE(watch.crashed({0, 1, SIGSEGV, {}}));
  EXPECT_FALSE(watch.crashed({1, 1, SIGSEGV, {}}));
  EXPECT_TRUE(watch.idle());
}

TEST(PoisonWatch, ARequestThatALivingReplicaStaysInIsHarmless) {
  PoisonWatch watch;
  const RequestInHand waiting = request(3, 1);
  EXPECT_FALSE(watch.crashed({0, 1, SIGSEGV, {waiting}}));
  watch.alive(1, 1, {waiting}, 1000);
  watch.alive(1, 1, {waiting}, 1000 + PoisonWatch::kHarmlessAfterMs - 1);
  EXPECT_FALSE(watch.idle());
  watch.alive(1, 1, {waiting}, 1000 + PoisonWatch::kHarmlessAfterMs);
  EXPECT_TRUE(watch.idle());
  EXPECT_FALSE(watch.crashed({2, 1, SIGSEGV, {waiting}}));
}

TEST(PoisonWatch, OnlyAnUnbrokenStayClears) {
  PoisonWatch watch;
  const RequestInHand suspected = request(3, 1);
  EXPECT_FALSE(watch.crashed({0, 1, SIGSEGV, {suspected}}));
  watch.alive(1, 1, {suspected}, 0);
  watch.alive(1, 2, {suspected}, PoisonWatch::kHarmlessAfterMs);      // another process
  watch.alive(1, 2, {}, PoisonWatch::kHarmlessAfterMs + 1000);        // not in it any more
  watch.alive(1, 2, {suspected}, 2 * PoisonWatch::kHarmlessAfterMs);  // in it again
  EXPECT_TRUE(watch.crashed({1, 2, SIGSEGV, {suspected}}));
}

TEST(PoisonWatch, OnlyFaultsOfTheProgramAreCrashes) {
  for (const int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL}) {
    EXPECT_TRUE(is_crash_signal(signal));
  }
  for (const int signal : {SIGKILL, SIGTERM, SIGINT, SIGPIPE}) {
    EXPECT_FALSE(is_crash_signal(signal));
  }
}

}  // namespace
}  // namespace auxin::supervisor
