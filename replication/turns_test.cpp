// SPDX-License-Identifier: Apache-2.0
//
// Threads that go one after another by the number in an object.
#include "replication/turns.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "replication/test_group.h"

namespace auxin::replication {
namespace {

constexpr int kThreads = 8;
constexpr uint32_t kTurns = 8000;

// Goal: each goes exactly in its turn, and is woken for it.
// Method: the turns are dealt to threads at random; each thread takes its own in order. A wake-up
// that does not come costs a thread a tenth of a second: the test's time limit says so.
void take_turns(uint32_t first, uint32_t spin_ns) {
  std::mt19937_64 random(stm::test_seed());
  std::vector<uint32_t> turns_of[kThreads];
  for (uint32_t n = 0; n < kTurns; ++n) turns_of[random() % kThreads].push_back(first + n);
  replica->control().settings.spin_ns = spin_ns;

  uint32_t word = first;  // acquisitions so far
  std::atomic<int> inside{0};
  std::atomic<uint32_t> out_of_turn{0};
  std::vector<uint32_t> history;
  const auto take = [&](const std::vector<uint32_t>& turns) {
    for (const uint32_t turn : turns) {
      await_turn(&word, turn);
      if (inside.fetch_add(1) != 0) ++out_of_turn;
      history.push_back(turn);
      --inside;
      std::atomic_ref<uint32_t>(word).store(turn + 1);
      pass_turn(&word, turn + 1);
    }
  };
  std::vector<std::thread> threads;
  for (const auto& turns : turns_of) threads.emplace_back([&take, &turns] { take(turns); });
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(out_of_turn, 0u);
  ASSERT_EQ(history.size(), kTurns);
  for (uint32_t n = 0; n < kTurns; ++n) ASSERT_EQ(history[n], first + n);
}

TEST(Turns, EachThreadGoesExactlyInItsTurn) {
  TestGroup group;
  EXPECT_EQ(group.run_follower(1, [] { take_turns(0, 0); }), 0);
}

TEST(Turns, TheNumberMayPassThe32ndBit) {
  TestGroup group;
  EXPECT_EQ(group.run_follower(1, [] { take_turns(0u - kTurns / 2, 0); }), 0);
}

TEST(Turns, WhoSpinsBeforeSleepingGoesInItsTurnToo) {
  TestGroup group;
  EXPECT_EQ(group.run_follower(1, [] { take_turns(0, 2000); }), 0);
}

TEST(Turns, ObjectsDoNotDisturbOneAnother) {
  // The threads of one object wait with the same bits as those of the other.
  TestGroup group;
  EXPECT_EQ(group.run_follower(1, [] {
    std::thread other([] { take_turns(0, 0); });
    take_turns(32, 0);
    other.join();
  }), 0);
}

TEST(Turns, AChangeIsSeenByAllWhoWaitForIt) {
  static constexpr uint32_t kChanges = 1000;
  TestGroup group;
  EXPECT_EQ(group.run_follower(1, [] {
    uint32_t word = 0;
    std::atomic<uint32_t> arrived{0};
    std::vector<std::thread> threads;
    for (int n = 0; n < kThreads; ++n) {
      threads.emplace_back([&word, &arrived] {
        for (uint32_t seen = 0; seen < kChanges; ++seen) {
          while (std::atomic_ref<uint32_t>(word).load() == seen) await_change(&word, seen);
          ++arrived;
        }
      });
    }
    for (uint32_t change = 1; change <= kChanges; ++change) {
      std::atomic_ref<uint32_t>(word).store(change);
      announce_change(&word);
      while (arrived.load() != change * kThreads) std::this_thread::yield();
    }
    for (std::thread& thread : threads) thread.join();
  }), 0);
}

}  // namespace
}  // namespace auxin::replication
