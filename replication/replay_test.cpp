// SPDX-License-Identifier: Apache-2.0
//
// How a follower takes its decisions from the log: whose they are, in which order, and what waits
// for what. The log is written by the test.
#include "replication/replay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "replication/test_group.h"

namespace auxin::replication {
namespace {

uint64_t request(uint64_t ordinal) { return request_activity_id(1, ordinal); }
uint64_t thread(uint32_t ordinal) { return thread_activity_id(kMainActivity, ordinal); }

stm::LogEntry event_of(Kind kind, uint64_t object) {
  stm::LogEntry entry{};
  entry.kind = kind;
  entry.object = object;
  return entry;
}

stm::LogEntry send_of(uint64_t activity, uint32_t step, uint64_t connection) {
  stm::LogEntry entry{};
  entry.kind = kSend;
  entry.activity = activity;
  entry.step = step;
  entry.object = connection;
  return entry;
}

// The positions below `count`, in an order of the seed's.
std::vector<uint64_t> shuffled(uint64_t count, uint64_t seed) {
  std::vector<uint64_t> positions(count);
  std::iota(positions.begin(), positions.end(), 0);
  std::shuffle(positions.begin(), positions.end(), std::mt19937_64(seed));
  return positions;
}

// Takes the activity's next decision; its position.
uint64_t take(uint64_t activity, uint32_t step) {
  stm::LogEntry entry;
  uint64_t position = kNoPosition;
  EXPECT_EQ(replay.next_decision(activity, step, &entry, &position), Replay::Step::kLogged);
  EXPECT_EQ(entry.activity, activity);
  EXPECT_EQ(entry.step, step);
  return position;
}

// A thread of the follower's whose sleep can be looked at.
class Sleeper {
 public:
  explicit Sleeper(std::function<void()> body)
      : thread_([this, body] {
          waiter_.store(&Replay::this_thread_waiter());
          body();
          done_.store(true);
          while (!gone_.load()) std::this_thread::yield();  // its waiter is looked at
        }) {}
  ~Sleeper() { if (thread_.joinable()) finish(); }

  // Once it sleeps in some queue: true. False: it has come to its end without.
  bool await_sleep() {
    for (;; std::this_thread::yield()) {
      if (done_.load()) return false;
      FutexGuard guard(replay.lock());
      if (waiter_.load() != nullptr && waiter_.load()->queue != nullptr) return true;
    }
  }
  // How often somebody has woken it.
  uint32_t wakes() const { return waiter_.load()->word.load(); }
  bool done() const { return done_.load(); }
  void finish() {
    while (!done_.load()) std::this_thread::yield();
    gone_.store(true);
    thread_.join();
  }

 private:
  std::atomic<Waiter*> waiter_{nullptr};
  std::atomic<bool> done_{false}, gone_{false};
  std::thread thread_;
};

TEST(PositionSet, KnowsItsLowestPositionRoundTheWindow) {
  std::mt19937_64 random(stm::test_seed());
  PositionSet set;
  set.clear();
  std::set<uint64_t> model;
  uint64_t end = 1'000'003;
  for (int step = 0; step < 200'000; ++step) {
    const uint64_t lowest = model.empty() ? end : *model.begin();
    if (random() % 2 == 0 && end - lowest < kWindow - 1) {
      end += random() % 4 == 0 ? random() % 300 : 1;
      if (end - lowest >= kWindow - 1) continue;
      set.add(end - 1);
      model.insert(end - 1);
    } else if (!model.empty()) {
      // One of the lowest few, or (at times) one that is not in it.
      auto chosen = std::next(model.begin(), static_cast<long>(random() % model.size() % 8));
      const uint64_t position = random() % 16 == 0 ? *chosen + 1 : *chosen;
      if (position >= end) continue;
      const bool was_lowest = position == *model.begin();
      model.erase(position);
      EXPECT_EQ(set.remove(position, end), was_lowest);
    }
    ASSERT_EQ(set.lowest(), model.empty() ? kNoPosition : *model.begin()) << "step " << step;
  }
}

TEST(Replay, EachActivityGetsItsDecisionsInOrderThroughSeveralWindows) {
  static constexpr uint64_t kEntries = 3 * kWindow + 777, kActivities = 40;
  static constexpr int kThreads = 4;
  TestGroup group;
  std::mt19937_64 random(stm::test_seed());
  std::vector<uint64_t> numbers_of[kActivities];
  for (uint64_t number = 0; number < kEntries; ++number) {
    if (number % 100 == 99) {
      group.log().append(event_of(kEpoch, 1));
      continue;
    }
    const uint64_t n = random() % kActivities;
    numbers_of[n].push_back(number);
    group.log().append(
        decision_of(request(n), static_cast<uint32_t>(numbers_of[n].size()), number));
  }
  EXPECT_EQ(group.run_follower(1, [&numbers_of] {
    std::vector<std::thread> threads;
    for (uint64_t first = 0; first < kThreads; ++first) {
      threads.emplace_back([&numbers_of, first] {
        // Goes round its activities, each at its own pace, so that none holds up another for ever.
        bool more = true;
        for (uint32_t step = 1; more; ++step) {
          more = false;
          for (uint64_t n = first; n < kActivities; n += kThreads) {
            if (step > numbers_of[n].size()) continue;
            more = true;
            stm::LogEntry entry;
            uint64_t position;
            replay.next_decision(request(n), step, &entry, &position);
            ASSERT_EQ(entry.number, numbers_of[n][step - 1]);
            ASSERT_EQ(position, entry.number);
            replay.consumed(position);
          }
        }
      });
    }
    for (std::thread& one : threads) one.join();
    EXPECT_EQ(replay.low(), kEntries);
  }), 0);
}

TEST(Replay, TheLowWaterMarkIsTheLowestPositionNotConsumed) {
  static constexpr uint64_t kEntries = 3000;
  TestGroup group;
  const uint64_t seed = stm::test_seed();
  for (uint64_t n = 0; n < kEntries; ++n) group.log().append(decision_of(request(n), 1, n));
  EXPECT_EQ(group.run_follower(1, [seed] {
    while (replay.pump() > 0) {
    }
    EXPECT_EQ(replay.read_position(), kEntries);
    const std::vector<uint64_t> order = shuffled(kEntries, seed);
    std::set<uint64_t> left(order.begin(), order.end());
    for (const uint64_t position : order) {
      replay.consumed(position);
      left.erase(position);
      const uint64_t lowest = left.empty() ? kEntries : *left.begin();
      ASSERT_EQ(replay.low(), lowest);
      ASSERT_EQ(replica->slot().position.load(), lowest);
    }
  }), 0);
}

TEST(Replay, ThePumpDoesNotOutrunTheWindow) {
  TestGroup group;
  for (uint32_t n = 0; n < 2 * kWindow; ++n) group.log().append(decision_of(request(n), 1, n));
  EXPECT_EQ(group.run_follower(1, [] {
    while (replay.pump() > 0) {
    }
    const uint64_t stop = replay.read_position();
    EXPECT_LT(stop, kWindow);
    replay.consumed(1);
    EXPECT_EQ(replay.pump(), 0) << "position 0 is still needed";
    replay.consumed(0);
    EXPECT_EQ(replay.pump(), 2);
    EXPECT_EQ(replay.read_position(), stop + 2);
  }), 0);
}

TEST(Replay, WhatIsNoOnesDecisionIsConsumedAsItIsRead) {
  TestGroup group;
  group.log().append(event_of(kEpoch, 1));
  group.log().reserve();  // its appender died
  group.log().append(event_of(kReceive, 9));  // of a connection that is not known here
  group.log().append(event_of(kClose, 9));
  group.log().append(send_of(0, 0, 9));  // the ORB's own
  EXPECT_EQ(group.run_follower(1, [&group] {
    replay.pump();
    EXPECT_EQ(replay.low(), 1u) << "an entry that is not published stops the pump";
    group.log().seal_holes();
    replay.pump();
    EXPECT_EQ(replay.low(), 5u);
    FutexGuard guard(replay.lock());
    EXPECT_TRUE(replay.deliverable(kNoPosition - 1));
  }), 0);
}

TEST(Replay, AChunkWaitsForEverySendAndEveryThreadsDecisionBeforeIt) {
  static constexpr uint64_t kEntries = 400;
  TestGroup group;
  const uint64_t seed = stm::test_seed();
  std::mt19937_64 random(seed);
  std::set<uint64_t> holding;
  for (uint64_t n = 0; n < kEntries; ++n) {
    const uint64_t kind = random() % 4;
    if (kind < 2) holding.insert(n);
    group.log().append(kind == 0   ? send_of(request(n), 1, 9)
                       : kind == 1 ? decision_of(thread(static_cast<uint32_t>(n)), 1, n)
                                   : decision_of(request(n), 1, n));
  }
  EXPECT_EQ(group.run_follower(1, [seed, holding]() mutable {
    replay.pump();
    const std::vector<uint64_t> order = shuffled(kEntries, seed);
    for (const uint64_t position : order) {
      const uint64_t first = holding.empty() ? kNoPosition : *holding.begin();
      {
        FutexGuard guard(replay.lock());
        for (uint64_t chunk = 0; chunk <= kEntries; ++chunk)
          ASSERT_EQ(replay.deliverable(chunk), first > chunk) << chunk;
      }
      replay.send_reached(position);  // of any entry: its send, if it is one, and itself
      holding.erase(position);
    }
  }), 0);
}

TEST(Replay, WhoWaitsForAChunkIsWokenByTheSendThatItWaitsFor) {
  TestGroup group;
  for (const uint64_t n : {0, 2}) {
    group.log().append(send_of(request(n), 1, 9));
    group.log().append(decision_of(request(n + 1), 1, 0));  // in the chunk's place
  }
  EXPECT_EQ(group.run_follower(1, [] {
    replay.pump();
    Sleeper first([] {
      FutexGuard guard(replay.lock());
      while (!replay.deliverable(1)) replay.wait_deliverable_locked(1);
    });
    Sleeper last([] {
      FutexGuard guard(replay.lock());
      while (!replay.deliverable(3)) replay.wait_deliverable_locked(3);
    });
    EXPECT_TRUE(first.await_sleep());
    EXPECT_TRUE(last.await_sleep());
    replay.send_reached(0);
    first.finish();
    EXPECT_EQ(last.wakes(), 0u) << "its time has not come";
    EXPECT_TRUE(last.await_sleep());
    replay.send_reached(2);
    last.finish();
  }), 0);
}

TEST(Replay, TimeHasPassedOnlyWhenEverythingBeforeHasHappened) {
  static constexpr uint64_t kEntries = 200;
  TestGroup group;
  const uint64_t seed = stm::test_seed();
  for (uint64_t n = 0; n < kEntries; ++n) group.log().append(decision_of(request(n), 1, n));
  EXPECT_EQ(group.run_follower(1, [seed] {
    replay.pump();
    std::vector<std::thread> waiting;
    for (const uint64_t position : {uint64_t{0}, uint64_t{1}, kEntries / 2, kEntries}) {
      waiting.emplace_back([position] {
        replay.await_everything_before(position);
        EXPECT_GE(replay.low(), position);
      });
    }
    const std::vector<uint64_t> order = shuffled(kEntries, seed);
    for (const uint64_t position : order) {
      replay.consumed(position);
      std::this_thread::yield();
    }
    for (std::thread& one : waiting) one.join();
  }), 0);
}

// Goal: a decision that has its place among others waits for it.
// Method: `late` is logged after `early`; the thread that wants it must be seen asleep until the
// other is consumed. It sleeps for a time only (the order is a help and no promise), so a loaded
// machine may miss it once, but not in all rounds.
void expect_place_is_kept(uint64_t early, uint64_t late) {
  static constexpr uint32_t kRounds = 20;
  TestGroup group;
  for (uint32_t step = 1; step <= kRounds; ++step) {
    group.log().append(decision_of(early, step, 0));
    group.log().append(decision_of(late, step, 0));
  }
  EXPECT_EQ(group.run_follower(1, [early, late] {
    uint32_t seen_asleep = 0;
    for (uint32_t step = 1; step <= kRounds; ++step) {
      Sleeper second([late, step] { replay.consumed(take(late, step)); });
      if (second.await_sleep()) ++seen_asleep;
      replay.consumed(take(early, step));
      second.finish();
    }
    EXPECT_GT(seen_asleep, 0u);
    EXPECT_EQ(replay.low(), 2 * kRounds);
  }), 0);
}

TEST(Replay, AThreadsDecisionWaitsForARequestsBeforeIt) {
  expect_place_is_kept(request(1), thread(1));
}

TEST(Replay, AThreadsDecisionWaitsForAnotherThreadsBeforeIt) {
  expect_place_is_kept(thread(1), thread(2));
}

TEST(Replay, ARequestsDecisionWaitsForAThreadsBeforeIt) {
  expect_place_is_kept(thread(1), request(1));
}

TEST(Replay, RequestsRunSideBySide) {
  TestGroup group;
  group.log().append(decision_of(request(1), 1, 0));
  group.log().append(decision_of(request(2), 1, 0));
  EXPECT_EQ(group.run_follower(1, [] {
    Sleeper second([] { take(request(2), 1); });
    EXPECT_FALSE(second.await_sleep());
    EXPECT_EQ(replay.low(), 0u);
  }), 0);
}

TEST(Replay, AnOrderThatCannotBeKeptDoesNotHoldReplayUp) {
  // The thread's decision stands before the request's, and is never consumed.
  TestGroup group;
  group.log().append(decision_of(thread(1), 1, 0));
  group.log().append(decision_of(request(1), 1, 0));
  group.log().append(decision_of(thread(2), 1, 0));
  EXPECT_EQ(group.run_follower(1, [] {
    EXPECT_EQ(take(request(1), 1), 1u);
    EXPECT_EQ(take(thread(2), 1), 2u);
  }), 0);
}

TEST(Replay, ThreadsGetAConnectionForSendingInTheOrderOfTheLog) {
  static constexpr uint64_t kConnection = 5, kSends = 60;
  TestGroup group;
  std::mt19937_64 random(stm::test_seed());
  stm::LogEntry opened = event_of(kConnect, kConnection);
  opened.activity = request(1000);
  opened.step = 1;
  opened.number = kConnection;
  group.log().append(opened);
  std::vector<uint64_t> order(kSends);
  for (uint64_t n = 0; n < kSends; ++n) order[n] = n;
  std::shuffle(order.begin(), order.end(), random);
  for (const uint64_t n : order) group.log().append(send_of(request(n), 1, kConnection));
  EXPECT_EQ(group.run_follower(1, [&order] {
    FutexLock lock;
    std::vector<uint64_t> history;
    std::vector<std::thread> threads;
    for (uint64_t n = 0; n < kSends; ++n) {
      threads.emplace_back([&lock, &history, n] {
        replay.await_send_turn(request(n));
        {
          FutexGuard guard(lock);
          history.push_back(n);
        }
        replay.send_reached(take(request(n), 1));
      });
    }
    for (std::thread& one : threads) one.join();
    EXPECT_EQ(history, order);
  }), 0);
}

TEST(Replay, AConnectionIsAcceptableWhenReplayIsCloseToIt) {
  TestGroup group;
  for (uint64_t n = 0; n < 2 * kAcceptLead; ++n) group.log().append(decision_of(request(n), 1, n));
  EXPECT_EQ(group.run_follower(1, [] {
    static constexpr uint64_t kPosition = kAcceptLead + 10;
    replay.pump();
    Sleeper listener([] {
      FutexGuard guard(replay.lock());
      while (!replay.acceptable(kPosition)) replay.wait_acceptable_locked();
      EXPECT_EQ(replay.low(), kPosition - kAcceptLead);
    });
    EXPECT_TRUE(listener.await_sleep());
    for (uint64_t position = 0; position < kPosition - kAcceptLead; ++position) {
      EXPECT_FALSE(listener.done());
      replay.consumed(position);
    }
    listener.finish();
    EXPECT_EQ(listener.wakes(), 1u);
  }), 0);
}

TEST(Replay, WhoWaitsForAnEntryIsWokenWhenItIsRead) {
  TestGroup group;
  EXPECT_EQ(group.run_follower(1, [&group] {
    Sleeper sleeper([] { take(request(1), 1); });
    Sleeper other([] { take(request(2), 1); });
    EXPECT_TRUE(sleeper.await_sleep());
    EXPECT_TRUE(other.await_sleep());
    group.log().append(decision_of(request(1), 1, 0));
    EXPECT_FALSE(replay.decision_waiting(request(1))) << "not read yet";
    replay.pump();
    sleeper.finish();
    EXPECT_TRUE(other.await_sleep());
    group.log().append(decision_of(request(2), 1, 0));
    replay.pump();
    other.finish();
  }), 0);
}

TEST(Replay, APromotionEndsEveryWait) {
  TestGroup group;
  group.log().append(decision_of(request(1), 1, 0));
  EXPECT_EQ(group.run_follower(1, [] {
    const auto live = [](uint64_t activity, uint32_t step) {
      stm::LogEntry entry;
      uint64_t position;
      EXPECT_EQ(replay.next_decision(activity, step, &entry, &position), Replay::Step::kLive);
    };
    Sleeper request_there([&live] {
      replay.consumed(take(request(1), 1));
      live(request(1), 2);
    });
    Sleeper thread_there([&live] { live(kMainActivity, 1); });
    Sleeper sender([] { replay.await_send_turn(request(2)); });
    for (Sleeper* sleeper : {&request_there, &thread_there, &sender})
      EXPECT_TRUE(sleeper->await_sleep());
    lead_from_here();
    for (Sleeper* sleeper : {&request_there, &thread_there, &sender}) {
      sleeper->finish();
      EXPECT_EQ(sleeper->wakes(), 1u) << "woken, not by the end of a time limit";
    }
    live(request(3), 1);
  }), 0);
}

TEST(Replay, ALogThatCannotBeReadIsSaid) {
  TestGroup group;
  const auto message_of = [&group](int id) {
    return std::string(group.control().replicas[id].message);
  };
  group.log().append(decision_of(request(1), 1, 0));
  stm::LogEntry unknown = decision_of(request(1), 2, 0);
  unknown.kind = 200;
  group.log().append(unknown);
  EXPECT_EQ(group.run_follower(1, [] { replay.pump(); }), -SIGKILL);
  EXPECT_NE(message_of(1).find("entry 1 is of a kind (200)"), std::string::npos) << message_of(1);
  EXPECT_EQ(group.run_follower(2, [&group] {
    group.log().release(1, 0);  // the leader has given up what this replica needs
    replay.pump();
  }), -SIGKILL);
  EXPECT_NE(message_of(2).find("no longer holds entry 0"), std::string::npos) << message_of(2);
}

}  // namespace
}  // namespace auxin::replication
