// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever instruction a process dies at, what it had published is whole, what it had not is
// a hole, and the log goes on.
// Method 1: stop at the N-th store, for every N: the log is compiled with store_step() before each
// of its stores (stable_log.cpp in this program), and a child ends there. All scenarios run over
// two laps, so that every slot has leftovers.
// Method 2: SIGKILL a process with several appending threads at a random moment, thousands of times
// (AUXIN_ROUNDS; the suite does fewer), while a follower reads and releases.
#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "stmemu/log/stable_log.h"
#include "stmemu/log/store_step.h"
#include "stmemu/test_memory.h"
#include "tests/harness/kill_one.h"

namespace auxin::stm {
namespace {
constexpr int kStopped = 99;
int64_t steps_left = -1;  // negative: never stops
}  // namespace

void store_step() {
  if (steps_left >= 0 && steps_left-- == 0) _exit(kStopped);
}

namespace {

using Read = StableLog::Read;

std::string bytes_of(uint64_t number) {
  std::string bytes(number * 37 % 120, '\0');
  for (size_t at = 0; at < bytes.size(); ++at) bytes[at] = static_cast<char>(number * 131 + at);
  return bytes;
}

LogEntry numbered(StableLog& log, uint64_t activity, uint64_t number) {
  const std::string bytes = bytes_of(number);
  LogEntry entry{};
  entry.kind = 1;
  entry.activity = activity;
  entry.number = number;
  entry.object = activity ^ number << 20;
  entry.payload_offset = log.allocate_payload(bytes.size());
  entry.payload_size_bytes = static_cast<uint32_t>(bytes.size());
  memcpy(log.payload_at(entry.payload_offset), bytes.data(), bytes.size());
  return entry;
}

bool sound(const StableLog& log, const LogEntry& entry) {
  return entry.object == (entry.activity ^ entry.number << 20) &&
         std::string(log.payload_at(entry.payload_offset), entry.payload_size_bytes) ==
             bytes_of(entry.number);
}

class EveryStoreTest : public testing::Test {
 protected:
  static constexpr uint64_t kBefore = 70;  // entries that are there when a scenario starts
  static constexpr uint64_t kReleased = 60;

  // The state in which every scenario starts: the second lap, ten entries live.
  void prepare() {
    path_ = directory_.file("memory" + std::to_string(++prepared_));
    memory_ = create_or_abort(path_, kSmallLayout);
    StableLog log(memory_);
    for (uint64_t n = 0; n < kBefore; ++n) {
      if (n == kReleased) log.release(kReleased, log.payload_end());
      log.append(numbered(log, 5, n));
    }
  }

  // Runs `scenario` in a child that stops before its `steps`-th store. True: it ended unstopped.
  bool run(int64_t steps, const std::function<void(StableLog&)>& scenario) {
    const int end = end_of(in_child([&] {
      StableMemory memory = open_or_abort(path_);
      StableLog log(memory);
      steps_left = steps;
      scenario(log);
      return 0;
    }));
    EXPECT_TRUE(end == 0 || end == kStopped) << end;
    return end == 0;
  }

  // Seals and reads it all: every position an entry, the old ones as they were, the rest sound or
  // holes. Returns the numbers of the entries behind the old ones, in order (holes left out).
  std::vector<uint64_t> recover() {
    StableLog log(memory_);
    log.seal_holes();
    EXPECT_EQ(log.seal_holes(), 0u);
    std::vector<uint64_t> numbers;
    for (uint64_t position = log.begin(); position < log.end(); ++position) {
      LogEntry entry;
      const Read read = log.read(position, &entry);
      EXPECT_EQ(read, Read::kEntry) << position;
      if (read != Read::kEntry) continue;
      if (position < kBefore) {
        EXPECT_EQ(entry.number, position);
      }
      if (entry.kind == kHole) continue;
      EXPECT_TRUE(sound(log, entry)) << position;
      if (position >= kBefore) numbers.push_back(entry.number);
    }
    const uint64_t next = log.append(numbered(log, 6, 1000));  // it goes on
    LogEntry entry;
    EXPECT_EQ(log.read(next, &entry), Read::kEntry);
    return numbers;
  }

  TestDirectory directory_;
  std::string path_;
  StableMemory memory_;
  int prepared_ = 0;
};

TEST_F(EveryStoreTest, AppendLeavesAPrefixOfWhatWasAppended) {
  bool finished = false;
  int64_t steps = 0;
  for (; !finished; ++steps) {
    prepare();
    finished = run(steps, [](StableLog& log) {
      for (uint64_t n = 100; n < 103; ++n) log.append(numbered(log, 5, n));
    });
    const std::vector<uint64_t> numbers = recover();
    ASSERT_LE(numbers.size(), 3u);
    for (size_t at = 0; at < numbers.size(); ++at) EXPECT_EQ(numbers[at], 100 + at);
    EXPECT_EQ(numbers.size(), static_cast<size_t>(steps) / 9) << "nine stores an append";
  }
  EXPECT_EQ(steps, 3 * 9 + 1);
}

TEST_F(EveryStoreTest, SealingCanBeStoppedAnywhereAndRunAgain) {
  // Three holes between entries. The first sealer stops at any store, a second one at any store of
  // its own, then the test's own finishes.
  const auto make_holes = [](StableLog& log) {
    for (uint64_t n = 100; n < 106; ++n) {
      if (n % 2 == 0) log.reserve();
      else log.append(numbered(log, 5, n));
    }
  };
  const auto seal = [](StableLog& log) { log.seal_holes(); };
  bool first_finished = false;
  int64_t first = 0;
  for (; !first_finished; ++first) {
    bool second_finished = false;
    for (int64_t second = 0; !second_finished; ++second) {
      prepare();
      ASSERT_TRUE(run(-1, make_holes));
      first_finished = run(first, seal);
      second_finished = run(second, seal);
      EXPECT_EQ(recover(), (std::vector<uint64_t>{101, 103, 105}));
    }
  }
  EXPECT_EQ(first, 3 * 8 + 1);
}

TEST_F(EveryStoreTest, ReleaseNeverGivesUpPayloadOfAnEntryThatStays) {
  bool finished = false;
  int64_t steps = 0;
  for (; !finished; ++steps) {
    prepare();
    StableLog log(memory_);
    LogEntry kept;
    ASSERT_EQ(log.read(65, &kept), Read::kEntry);
    finished = run(steps, [&](StableLog& child) { child.release(65, kept.payload_offset); });
    LogEntry entry;
    EXPECT_EQ(log.read(65, &entry), Read::kEntry);
    if (log.payload_begin() == kept.payload_offset) {
      EXPECT_EQ(log.begin(), 65u);
    }
    EXPECT_TRUE(recover().empty());
  }
  EXPECT_EQ(steps, 2 + 1);
}

TEST_F(EveryStoreTest, AnOutcomeIsSetOrNone) {
  bool finished = false;
  for (int64_t steps = 0; !finished; ++steps) {
    prepare();
    finished = run(steps, [](StableLog& log) { log.set_outcome(66, 4711); });
    uint32_t value = 0;
    StableLog log(memory_);
    EXPECT_EQ(log.outcome(66, &value), finished);
    EXPECT_EQ(value, finished ? 4711u : 0u);
    EXPECT_TRUE(recover().empty());
  }
}

// What the appending process tells its follower, in the control area.
struct Progress {
  std::atomic<uint64_t> appended[8];  // by each thread: numbers below this are published
};

class KilledAppenderTest : public testing::Test {
 protected:
  static constexpr int kThreads = 4;
  static constexpr Layout kLayout = {4096, 1024, 64 * 1024};

  // Appends until it is killed. Every third entry gets an outcome.
  [[noreturn]] static void append_forever(const std::string& path) {
    StableMemory memory = open_or_abort(path);
    StableLog log(memory);
    Progress* progress = static_cast<Progress*>(memory.control());
    std::vector<std::thread> threads;
    for (uint64_t thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&log, progress, thread] {
        for (uint64_t number = progress->appended[thread].load();; ++number) {
          while (!log.has_room(kThreads, kThreads * 128)) std::this_thread::yield();
          const uint64_t position = log.append(numbered(log, thread, number));
          progress->appended[thread].store(number + 1, std::memory_order_release);
          if (number % 3 == 0) log.set_outcome(position, static_cast<uint32_t>(number));
        }
      });
    }
    for (;;) pause();
  }

  // Reads one position; false: nothing there yet.
  bool follow(StableLog& log) {
    LogEntry entry;
    switch (log.read(position_, &entry)) {
      case Read::kNotYet:
        return false;
      case Read::kEntry:
        break;
      default:
        ADD_FAILURE() << "position " << position_ << " is corrupt or released";
        ++position_;
        return true;
    }
    uint32_t outcome;
    if (entry.kind != kHole) {
      EXPECT_TRUE(entry.activity < kThreads && sound(log, entry)) << position_;
      EXPECT_EQ(entry.number, next_[entry.activity % kThreads]) << "thread " << entry.activity;
      next_[entry.activity % kThreads] = entry.number + 1;
      if (log.outcome(position_, &outcome)) {
        EXPECT_EQ(outcome, static_cast<uint32_t>(entry.number));
        EXPECT_EQ(entry.number % 3, 0u);
      }
    } else {
      EXPECT_FALSE(log.outcome(position_, &outcome));
    }
    ++position_;
    return true;
  }

  uint64_t position_ = 0;
  uint64_t next_[kThreads] = {};
};

TEST_F(KilledAppenderTest, WhatItHadPublishedIsWholeAndTheRestAreHoles) {
  const uint64_t rounds = environment_number("AUXIN_ROUNDS", 150);
  std::mt19937_64 random(test_seed());
  TestDirectory directory;
  const std::string path = directory.file("memory");
  StableMemory memory = create_or_abort(path, kLayout);
  StableLog log(memory);
  Progress* progress = static_cast<Progress*>(memory.control());
  uint64_t holes = 0;
  for (uint64_t round = 0; round < rounds && !HasFailure(); ++round) {
    const pid_t child = in_child([&]() -> int { append_forever(path); });
    // Follow it for a while, releasing what was read (entries only: payload frees at the end, as
    // its order is not the positions'), then kill it at some point of its work or of its waiting.
    const uint64_t goal = position_ + 1 + random() % 900;
    const auto extra = std::chrono::nanoseconds(random() % 200'000);
    while (position_ < goal && log.has_room(kThreads, kThreads * 128)) {
      if (!follow(log)) std::this_thread::yield();
      if (position_ % 64 == 0) log.release(position_, log.payload_begin());
    }
    for (const auto until = std::chrono::steady_clock::now() + extra;
         std::chrono::steady_clock::now() < until;) {
      std::this_thread::yield();
    }
    kill_one(child, SIGKILL);
    ASSERT_EQ(end_of(child), -SIGKILL);  // the fence

    holes += log.seal_holes();
    ASSERT_EQ(log.seal_holes(), 0u);
    while (position_ < log.end() && follow(log)) {
    }
    ASSERT_EQ(position_, log.end());
    for (int thread = 0; thread < kThreads; ++thread) {
      // All that it said it had published; at most one more, published and not yet said.
      const uint64_t said = progress->appended[thread].load();
      ASSERT_GE(next_[thread], said);
      ASSERT_LE(next_[thread], said + 1);
      progress->appended[thread] = next_[thread];
    }
    log.release(log.end(), log.payload_end());
  }
  printf("%llu rounds, %llu entries, %llu holes\n", static_cast<unsigned long long>(rounds),
         static_cast<unsigned long long>(log.end()), static_cast<unsigned long long>(holes));
}

}  // namespace
}  // namespace auxin::stm
