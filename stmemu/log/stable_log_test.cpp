// SPDX-License-Identifier: Apache-2.0
//
// The stable log as its users see it: order, holes, laps, limits, outcomes. Damage and death are in
// stable_log_damage_test.cpp and stable_log_kill_test.cpp.
#include "stmemu/log/stable_log.h"

#include <gtest/gtest.h>
#include <string.h>

#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "stmemu/test_memory.h"

// Writers of two laps are ordered by the reading process's release, which ThreadSanitizer, looking
// at one process, cannot see.
extern "C" const char* __tsan_default_suppressions();
const char* __tsan_default_suppressions() { return "race:with_payload\n"; }

namespace auxin::stm {
namespace {

using Read = StableLog::Read;

LogEntry entry_of(uint64_t number) {
  LogEntry entry{};
  entry.activity = number * 3 + 1;
  entry.step = static_cast<uint32_t>(number);
  entry.kind = static_cast<uint8_t>(1 + number % 200);
  entry.flags = static_cast<uint8_t>(number);
  entry.call = static_cast<uint16_t>(number * 7);
  entry.object = ~number;
  entry.number = number;
  return entry;
}

void expect_same(const LogEntry& a, const LogEntry& b) {
  EXPECT_EQ(a.activity, b.activity);
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.flags, b.flags);
  EXPECT_EQ(a.call, b.call);
  EXPECT_EQ(a.object, b.object);
  EXPECT_EQ(a.number, b.number);
  EXPECT_EQ(a.payload_offset, b.payload_offset);
  EXPECT_EQ(a.payload_size_bytes, b.payload_size_bytes);
}

LogEntry with_payload(StableLog& log, LogEntry entry, const std::string& bytes) {
  entry.payload_offset = log.allocate_payload(bytes.size());
  entry.payload_size_bytes = static_cast<uint32_t>(bytes.size());
  memcpy(log.payload_at(entry.payload_offset), bytes.data(), bytes.size());
  return entry;
}

std::string payload_of(const StableLog& log, const LogEntry& entry) {
  return {log.payload_at(entry.payload_offset), entry.payload_size_bytes};
}

class StableLogTest : public testing::Test {
 protected:
  TestDirectory directory_;
  std::string path_ = directory_.file("memory");
  StableMemory memory_ = create_or_abort(path_, kSmallLayout);
  StableLog log_{memory_};
};

TEST_F(StableLogTest, ANewLogIsEmpty) {
  LogEntry entry;
  EXPECT_EQ(log_.begin(), 0u);
  EXPECT_EQ(log_.end(), 0u);
  EXPECT_EQ(log_.payload_begin(), 0u);
  EXPECT_EQ(log_.payload_end(), 0u);
  EXPECT_EQ(log_.read(0, &entry), Read::kNotYet);
  EXPECT_EQ(log_.read(UINT64_MAX, &entry), Read::kNotYet);
}

TEST_F(StableLogTest, WhatIsAppendedIsReadWithEveryFieldAndItsPayload) {
  const LogEntry plain = entry_of(5);
  const LogEntry loaded = with_payload(log_, entry_of(6), "hello, follower");
  EXPECT_EQ(log_.append(plain), 0u);
  EXPECT_EQ(log_.append(loaded), 1u);
  LogEntry entry;
  ASSERT_EQ(log_.read(0, &entry), Read::kEntry);
  expect_same(entry, plain);
  ASSERT_EQ(log_.read(1, &entry), Read::kEntry);
  expect_same(entry, loaded);
  EXPECT_EQ(payload_of(log_, entry), "hello, follower");
  EXPECT_EQ(log_.read(2, &entry), Read::kNotYet);
}

TEST_F(StableLogTest, WithoutPayloadItsOffsetIsFreeToUse) {
  LogEntry written = entry_of(1);
  written.payload_offset = UINT64_MAX - 3;
  log_.append(written);
  LogEntry entry;
  ASSERT_EQ(log_.read(0, &entry), Read::kEntry);
  expect_same(entry, written);
}

TEST_F(StableLogTest, AReservedPositionIsNotThereUntilPublished) {
  const uint64_t first = log_.reserve();
  const uint64_t second = log_.append(entry_of(2));
  LogEntry entry;
  EXPECT_EQ(log_.read(first, &entry), Read::kNotYet);
  EXPECT_EQ(log_.read(second, &entry), Read::kEntry);
  EXPECT_EQ(log_.end(), 2u);
  log_.publish(first, entry_of(1));
  EXPECT_EQ(log_.read(first, &entry), Read::kEntry);
}

TEST_F(StableLogTest, PayloadIsAlignedToEightBytes) {
  EXPECT_EQ(log_.allocate_payload(1), 0u);
  EXPECT_EQ(log_.allocate_payload(8), 8u);
  EXPECT_EQ(log_.allocate_payload(0), 16u);
  EXPECT_EQ(log_.allocate_payload(9), 16u);
  EXPECT_EQ(log_.payload_end(), 32u);
}

TEST_F(StableLogTest, APayloadOverTheRingsEdgeIsOneRange) {
  log_.allocate_payload(kSmallLayout.payload_size_bytes - 16);
  const std::string bytes(100, 'x');
  log_.release(0, 2048);
  log_.append(with_payload(log_, entry_of(1), bytes));
  LogEntry entry;
  ASSERT_EQ(log_.read(0, &entry), Read::kEntry);
  EXPECT_EQ(payload_of(log_, entry), bytes);
  // The same bytes through the ring's beginning.
  EXPECT_EQ(*log_.payload_at(kSmallLayout.payload_size_bytes), 'x');
  EXPECT_EQ(log_.payload_at(kSmallLayout.payload_size_bytes), log_.payload_at(0));
}

TEST_F(StableLogTest, HolesAreSealedOnceAndPassed) {
  log_.append(entry_of(1));
  const uint64_t hole = log_.reserve();
  log_.append(entry_of(2));
  const uint64_t last_hole = log_.reserve();
  EXPECT_EQ(log_.seal_holes(), 2u);
  EXPECT_EQ(log_.seal_holes(), 0u);
  LogEntry entry;
  for (uint64_t position : {hole, last_hole}) {
    ASSERT_EQ(log_.read(position, &entry), Read::kEntry);
    EXPECT_EQ(entry.kind, kHole);
  }
  ASSERT_EQ(log_.read(2, &entry), Read::kEntry);
  expect_same(entry, entry_of(2));
  EXPECT_EQ(log_.append(entry_of(3)), 4u);
}

TEST_F(StableLogTest, AnOlderLapsEntryIsAHoleInThisLap) {
  for (uint64_t n = 0; n < 64; ++n) log_.append(entry_of(n));
  log_.release(64, 0);
  const uint64_t position = log_.reserve();
  LogEntry entry;
  EXPECT_EQ(log_.read(position, &entry), Read::kNotYet);
  EXPECT_EQ(log_.seal_holes(), 1u);
  ASSERT_EQ(log_.read(position, &entry), Read::kEntry);
  EXPECT_EQ(entry.kind, kHole);
}

TEST_F(StableLogTest, RoomEndsAtTheRingsAndComesBackByRelease) {
  EXPECT_TRUE(log_.has_room(64, 4096));
  EXPECT_FALSE(log_.has_room(65, 0));
  EXPECT_FALSE(log_.has_room(0, 4097));
  EXPECT_FALSE(log_.has_room(UINT64_MAX, 0));
  EXPECT_FALSE(log_.has_room(0, UINT64_MAX));
  for (uint64_t n = 0; n < 63; ++n) log_.append(entry_of(n));
  log_.allocate_payload(4090);  // 4096 with its padding
  EXPECT_TRUE(log_.has_room(1, 0));
  EXPECT_FALSE(log_.has_room(2, 0));
  EXPECT_FALSE(log_.has_room(1, 1));
  log_.release(10, 8);
  EXPECT_TRUE(log_.has_room(11, 8));
  EXPECT_FALSE(log_.has_room(12, 8));
  EXPECT_FALSE(log_.has_room(11, 9));
}

TEST_F(StableLogTest, ReleaseNeverGoesBackAndReleasedEntriesAreGone) {
  for (uint64_t n = 0; n < 10; ++n) log_.append(with_payload(log_, entry_of(n), "12345678"));
  log_.release(6, 48);
  log_.release(3, 24);
  EXPECT_EQ(log_.begin(), 6u);
  EXPECT_EQ(log_.payload_begin(), 48u);
  LogEntry entry;
  EXPECT_EQ(log_.read(5, &entry), Read::kReleased);
  EXPECT_EQ(log_.read(6, &entry), Read::kEntry);
}

TEST_F(StableLogTest, AnOverrunPositionIsCorruptNotPending) {
  for (uint64_t n = 0; n < 65; ++n) log_.append(entry_of(n));  // one too many, nothing released
  LogEntry entry;
  EXPECT_EQ(log_.read(0, &entry), Read::kCorrupt);
  EXPECT_EQ(log_.read(64, &entry), Read::kEntry);
  EXPECT_EQ(log_.seal_holes(), 0u);
}

TEST_F(StableLogTest, AnOutcomeIsNoneThenWhatWasSet) {
  const uint64_t position = log_.append(entry_of(1));
  uint32_t value = 99;
  EXPECT_FALSE(log_.outcome(position, &value));
  EXPECT_EQ(value, 99u);
  log_.set_outcome(position, 0);
  ASSERT_TRUE(log_.outcome(position, &value));
  EXPECT_EQ(value, 0u);
  log_.set_outcome(position, 0);  // the same again is nothing new
  LogEntry entry;
  EXPECT_EQ(log_.read(position, &entry), Read::kEntry);

  const uint64_t largest = log_.append(entry_of(2));
  log_.set_outcome(largest, UINT32_MAX - 1);
  ASSERT_TRUE(log_.outcome(largest, &value));
  EXPECT_EQ(value, UINT32_MAX - 1);
}

TEST_F(StableLogTest, AnUnpublishedPositionHasNoOutcome) {
  uint32_t value;
  EXPECT_FALSE(log_.outcome(0, &value));
  log_.reserve();
  EXPECT_FALSE(log_.outcome(0, &value));
  EXPECT_FALSE(log_.outcome(UINT64_MAX, &value));
}

TEST_F(StableLogTest, AnOutcomeOfAnEarlierLapIsNotSeenInThisOne) {
  for (uint64_t n = 0; n < 64; ++n) log_.set_outcome(log_.append(entry_of(n)), 5);
  log_.release(64, 0);
  uint32_t value;
  for (uint64_t n = 0; n < 64; ++n) {
    const uint64_t position = log_.append(entry_of(n));
    EXPECT_FALSE(log_.outcome(position, &value));
  }
  log_.set_outcome(3, 6);  // released: of no effect on position 67, which has its slot
  EXPECT_FALSE(log_.outcome(3, &value));
  EXPECT_FALSE(log_.outcome(67, &value));
}

TEST_F(StableLogTest, MisuseIsAFailedCheck) {
  const uint64_t position = log_.append(entry_of(1));
  log_.set_outcome(position, 1);
  EXPECT_DEATH(log_.set_outcome(position, 2), "an outcome is set once");
  EXPECT_DEATH(log_.set_outcome(position, UINT32_MAX), "below 2\\^32 - 1");
  EXPECT_DEATH(log_.set_outcome(position + 1, 1), "belongs to a published entry");
  EXPECT_DEATH(log_.release(5, 0), "only what exists");
  EXPECT_DEATH(log_.release(0, 5), "only what exists");
  LogEntry huge = entry_of(1);
  huge.payload_size_bytes = 4097;
  EXPECT_DEATH(log_.append(huge), "fits into the ring");
}

TEST_F(StableLogTest, FormatMakesItEmptyAgain) {
  log_.append(with_payload(log_, entry_of(1), "bytes"));
  StableLog::format(memory_);
  StableLog again(memory_);
  LogEntry entry;
  EXPECT_EQ(again.end(), 0u);
  EXPECT_EQ(again.payload_end(), 0u);
  EXPECT_EQ(again.read(0, &entry), Read::kNotYet);
  again.reserve();
  EXPECT_EQ(again.read(0, &entry), Read::kNotYet) << "an entry from before the format";
}

TEST_F(StableLogTest, WaitReturnsAtOnceWhenThereIsMore) {
  log_.append(entry_of(1));
  const auto start = std::chrono::steady_clock::now();
  log_.wait(0, 60'000'000);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST_F(StableLogTest, WaitEndsAtItsTimeoutAndKeepsErrno) {
  const auto start = std::chrono::steady_clock::now();
  errno = 77;
  log_.wait(0, 20'000);
  EXPECT_EQ(errno, 77);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(19));
}

TEST_F(StableLogTest, WakeEndsAWaitInAnotherProcess) {
  // The child waits (a minute at most per call) until it sees an end; the parent wakes until then.
  const pid_t child = in_child([this] {
    StableMemory memory = open_or_abort(path_);
    const StableLog log(memory);
    log.wait(0, 60'000'000);
    return 17;
  });
  int status = 0;
  const auto start = std::chrono::steady_clock::now();
  while (waitpid(child, &status, WNOHANG) == 0) {
    log_.wake();
    std::this_thread::yield();
  }
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 17);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST_F(StableLogTest, AReadOnlyMappingReadsAndWaits) {
  log_.append(with_payload(log_, entry_of(4), "seen by status"));
  Result<StableMemory> opened = StableMemory::open(path_, kTestControlVersion, true);
  ASSERT_TRUE(opened) << opened.error();
  const StableLog log(*opened);
  LogEntry entry;
  ASSERT_EQ(log.read(0, &entry), Read::kEntry);
  EXPECT_EQ(payload_of(log, entry), "seen by status");
  log.wait(1, 1000);
  EXPECT_EQ(log.read(1, &entry), Read::kNotYet);
}

// The payload of entry `number`: a length and bytes that follow from the number.
std::string bytes_of(uint64_t number) {
  std::string bytes(number * 37 % 120, '\0');
  for (size_t at = 0; at < bytes.size(); ++at) bytes[at] = static_cast<char>(number * 131 + at);
  return bytes;
}

TEST_F(StableLogTest, AnotherProcessReadsManyLapsOfBothRingsFromFourAppendingThreads) {
  // Each entry says who appended it and as which of its own; the child checks that every thread's
  // entries come in that thread's order, complete, and releases behind itself. The threads append
  // only what has room, with margin for each other, so the slow reader holds them back.
  constexpr int kThreads = 4;
  constexpr uint64_t kEach = 2000;
  const pid_t reader = in_child([this] {
    StableMemory memory = open_or_abort(path_);
    StableLog log(memory);
    uint64_t next[kThreads] = {};
    std::map<uint64_t, uint64_t> read_ranges;  // payload read, but not everything before it yet
    uint64_t payload_done = 0;
    for (uint64_t position = 0; position < kThreads * kEach; ++position) {
      LogEntry entry;
      Read read;
      while ((read = log.read(position, &entry)) == Read::kNotYet) log.wait(position, 1000);
      if (read != Read::kEntry) return 1;
      const uint64_t thread = entry.activity;
      if (thread >= kThreads || entry.number != next[thread]++) return 2;
      if (payload_of(log, entry) != bytes_of(entry.number)) return 3;
      // A thread takes its payload before its position: a later entry's may lie before this one's.
      if (entry.payload_size_bytes > 0) {
        read_ranges[entry.payload_offset] = (entry.payload_size_bytes + 7) / 8 * 8;
      }
      while (!read_ranges.empty() && read_ranges.begin()->first == payload_done) {
        payload_done += read_ranges.begin()->second;
        read_ranges.erase(read_ranges.begin());
      }
      log.release(position + 1, payload_done);
    }
    return 0;
  });
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([this, thread] {
      for (uint64_t number = 0; number < kEach; ++number) {
        while (!log_.has_room(kThreads, kThreads * 120)) std::this_thread::yield();
        LogEntry entry{};
        entry.kind = 1;
        entry.activity = thread;
        entry.number = number;
        log_.append(with_payload(log_, entry, bytes_of(number)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(end_of(reader), 0);
  EXPECT_GT(log_.payload_end(), 50 * kSmallLayout.payload_size_bytes);
}

}  // namespace
}  // namespace auxin::stm
