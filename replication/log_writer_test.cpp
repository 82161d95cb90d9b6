// SPDX-License-Identifier: Apache-2.0
//
// The leader's side of the log: which part of it the others still need, and what a full one does.
#include "replication/log_writer.h"

#include <gtest/gtest.h>
#include <string.h>
#include <unistd.h>

#include <random>
#include <string>
#include <thread>
#include <vector>

#include "replication/test_group.h"

namespace auxin::replication {
namespace {

void place(int id, Role role, uint64_t position) {
  ReplicaSlot& slot = replica->control().replicas[id];
  slot.role.store(role);
  slot.position.store(position);
}

void append_some(int count) {
  for (int n = 0; n < count; ++n) append(decision_of(kMainActivity, 1, 0));
}

TEST(LogWriter, NeededIsWhatTheLastFollowerHasNotConsumed) {
  TestGroup group;
  EXPECT_EQ(group.run_leader(0, [] {
    append_some(100);
    place(0, Role::kLeader, 0);
    tend_log();
    EXPECT_EQ(needed_position(), 100u) << "nobody follows";
    place(1, Role::kFollower, 70);
    place(2, Role::kFollower, 60);
    place(3, Role::kJoining, 5);  // is not waited for
    place(4, Role::kDead, 3);
    place(5, Role::kDiverged, 2);
    tend_log();
    EXPECT_EQ(needed_position(), 60u);
    place(2, Role::kDead, 60);
    tend_log();
    EXPECT_EQ(needed_position(), 70u);
  }), 0);
}

TEST(LogWriter, AFollowerThatDoesNotMoveIsPutOutAndTakenBackWhenItHasCaughtUp) {
  TestGroup group;
  EXPECT_EQ(group.run_leader(0, [] {
    Settings& settings = replica->control().settings;
    settings.lag_bound_entries = 50;
    ReplicaSlot& follower = replica->control().replicas[1];
    append_some(100);
    place(1, Role::kFollower, 10);
    tend_log();
    tend_log();
    EXPECT_EQ(follower.excluded.load(), 0u) << "it has its time";
    settings.stall_ms = 0;
    tend_log();
    EXPECT_EQ(follower.excluded.load(), 1u);
    EXPECT_EQ(needed_position(), 100u);
    follower.position.store(20);
    tend_log();
    EXPECT_EQ(follower.excluded.load(), 1u) << "it moves, far behind";
    follower.position.store(60);
    tend_log();
    EXPECT_EQ(follower.excluded.load(), 0u);
    EXPECT_EQ(needed_position(), 60u);
  }), 0);
}

TEST(LogWriter, AFollowerAtTheEndHasNothingToMoveFor) {
  TestGroup group;
  EXPECT_EQ(group.run_leader(0, [] {
    replica->control().settings.stall_ms = 0;
    append_some(10);
    place(1, Role::kFollower, 10);
    for (int n = 0; n < 3; ++n) tend_log();
    EXPECT_EQ(replica->control().replicas[1].excluded.load(), 0u);
  }), 0);
}

std::string payload_of(uint64_t number) {
  return std::string(1 + number * 37 % 2000, static_cast<char>('a' + number % 26));
}

stm::LogEntry await_entry(const stm::StableLog& log, uint64_t position) {
  stm::LogEntry entry;
  stm::StableLog::Read read;
  while ((read = log.read(position, &entry)) == stm::StableLog::Read::kNotYet)
    std::this_thread::yield();
  EXPECT_EQ(read, stm::StableLog::Read::kEntry) << "at " << position;
  return entry;
}

// A follower, played by a thread: reads every entry, each whole and in order, and says how far it
// is.
void read_through(ReplicaSlot& slot, uint64_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  stm::StableLog& log = replica->log();
  for (uint64_t position = slot.position.load(); position < count;) {
    const stm::LogEntry entry = await_entry(log, position);
    ASSERT_EQ(entry.number, position);
    ASSERT_EQ(std::string(log.payload_at(entry.payload_offset), entry.payload_size_bytes),
              payload_of(position));
    slot.position.store(++position);
    if (random() % 256 == 0) std::this_thread::yield();
  }
}

// Goal: the log goes round many times, and never over what a replica has not read.
void go_round(Role reader) {
  static constexpr stm::Layout kSmall = {kLandingOffset, 4096, 1 << 22};
  static constexpr uint64_t kEntries = 5 * 4096;
  TestGroup group(kSmall);
  const uint64_t seed = stm::test_seed();
  EXPECT_EQ(group.run_leader(0, [reader, seed] {
    place(1, reader, 0);
    std::thread follower([seed] { read_through(replica->control().replicas[1], kEntries, seed); });
    for (uint64_t number = 0; number < kEntries; ++number) {
      const std::string payload = payload_of(number);
      append_with_payload(decision_of(kMainActivity, 1, number), payload.data(), payload.size());
    }
    follower.join();
    EXPECT_EQ(replica->log().end(), kEntries);
    EXPECT_GT(replica->log().begin(), kEntries - 4096);
    EXPECT_EQ(replica->control().rejoin_possible.load(), 0u);
  }), 0);
}

TEST(LogWriter, AFullLogGivesUpOnlyWhatAFollowerHasRead) { go_round(Role::kFollower); }

TEST(LogWriter, AFullLogWaitsForWhoCatchesUpToo) { go_round(Role::kJoining); }

// Goal: large payloads fill their ring long before the entries do, and that too goes round.
void fill_payload(stm::Layout layout, bool followed) {
  TestGroup group(layout);
  EXPECT_EQ(group.run_leader(0, [followed] {
    alarm(60);  // a leader that waits for ever
    const std::string payload(most_payload_bytes(), 'x');
    if (followed) place(1, Role::kFollower, 0);
    for (uint64_t number = 0; number < 600; ++number) {
      append_with_payload(decision_of(kMainActivity, 1, number), payload.data(), payload.size());
      if (followed) place(1, Role::kFollower, replica->log().end());
    }
    EXPECT_GT(replica->log().payload_begin(), 0u);
  }), 0);
}

TEST(LogWriter, LargePayloadsFillTheirRingFirst) {
  for (const bool followed : {false, true}) {
    fill_payload({kLandingOffset, 1 << 16, 4 << 20}, followed);
    fill_payload({kLandingOffset, 4096, 1 << 20}, followed);
    fill_payload({kLandingOffset, 1 << 20, 256 << 20}, followed);
  }
}

// Goal: many threads at the brim of the smallest log never go over what a follower has not read.
TEST(LogWriter, ThreadsAtTheBrimDoNotOverrunAFollower) {
  static constexpr uint64_t kThreads = 12, kEach = 4000;
  TestGroup group({kLandingOffset, 4096, 1 << 20});
  EXPECT_EQ(group.run_leader(0, [] {
    alarm(120);
    place(1, Role::kFollower, 0);
    std::vector<std::thread> threads;
    for (uint64_t who = 0; who < kThreads; ++who) {
      threads.emplace_back([who] {
        replica->enter();
        for (uint64_t n = 0; n < kEach; ++n) {
          const std::string payload(1 + (n * 131 + who) % 2000, static_cast<char>('a' + who));
          append_with_payload(decision_of(who + 1, 1, payload.size()), payload.data(),
                              payload.size());
        }
      });
    }
    stm::StableLog& log = replica->log();
    for (uint64_t position = 0; position < kThreads * kEach;) {
      const stm::LogEntry entry = await_entry(log, position);
      const char* payload = log.payload_at(entry.payload_offset);
      ASSERT_EQ(std::string(payload, entry.payload_size_bytes),
                std::string(entry.number, static_cast<char>('a' + entry.activity - 1)));
      replica->control().replicas[1].position.store(++position);
    }
    for (std::thread& thread : threads) thread.join();
  }), 0);
}

TEST(LogWriter, ALogWithRoomReachesBackToItsStart) {
  TestGroup group;
  EXPECT_EQ(group.run_leader(0, [] {
    append_some(60'000);
    EXPECT_EQ(replica->log().begin(), 0u);
    EXPECT_EQ(replica->control().rejoin_possible.load(), 1u);
  }), 0);
}

TEST(LogWriter, TheLeaderIsNeverFartherAheadThanTheBound) {
  static constexpr uint64_t kEntries = 20'000, kBound = 100;
  TestGroup group;
  const uint64_t seed = stm::test_seed();
  EXPECT_EQ(group.run_leader(0, [seed] {
    replica->control().settings.lag_bound_entries = kBound;
    place(1, Role::kFollower, 0);
    ReplicaSlot& follower = replica->control().replicas[1];
    std::thread reader([&follower, seed] { read_through(follower, kEntries, seed); });
    for (uint64_t number = 0; number < kEntries; ++number) {
      hold_back_for_followers();
      ASSERT_LE(number, follower.position.load() + kBound);
      const std::string payload = payload_of(number);
      append_with_payload(decision_of(kMainActivity, 1, number), payload.data(), payload.size());
    }
    reader.join();
  }), 0);
}

}  // namespace
}  // namespace auxin::replication
