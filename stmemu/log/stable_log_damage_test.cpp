// SPDX-License-Identifier: Apache-2.0
//
// Goal: damaged memory is never taken for another valid entry.
// Method: flip every bit of a slot and of its payload, one at a time; overwrite at random; move
// whole slots to other positions and other memories. A reader must say kCorrupt or kNotYet.
#include <gtest/gtest.h>
#include <string.h>

#include <string>

#include "stmemu/log/log_slot.h"
#include "stmemu/log/stable_log.h"
#include "stmemu/test_memory.h"

namespace auxin::stm {
namespace {

using Read = StableLog::Read;

constexpr size_t kOutcomeAt = offsetof(LogSlot, outcome);

class StableLogDamageTest : public testing::Test {
 protected:
  uint64_t append(uint64_t number, size_t payload_size_bytes) {
    LogEntry entry{};
    entry.activity = 0x1122334455667788 + number;
    entry.step = 3;
    entry.kind = 9;
    entry.flags = 1;
    entry.call = 77;
    entry.object = number * 1001;
    entry.number = number;
    entry.payload_offset = log_.allocate_payload(payload_size_bytes);
    entry.payload_size_bytes = static_cast<uint32_t>(payload_size_bytes);
    for (size_t at = 0; at < payload_size_bytes; ++at) {
      log_.payload_at(entry.payload_offset)[at] = static_cast<char>(at * 7 + number);
    }
    return log_.append(entry);
  }
  char* slot(uint64_t position) {
    return static_cast<char*>(memory_.entries()) + position % 64 * 64;
  }

  static void flip(char* bytes, size_t bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  }
  bool refused(uint64_t position) {
    LogEntry entry;
    const Read read = log_.read(position, &entry);
    return read == Read::kCorrupt || read == Read::kNotYet;
  }

  TestDirectory directory_;
  StableMemory memory_ = create_or_abort(directory_.file("memory"), kSmallLayout);
  StableLog log_{memory_};
};

TEST_F(StableLogDamageTest, EveryFlippedBitOfAnEntryOrItsPayloadIsDetected) {
  for (const size_t size : {0, 1, 3, 8, 17, 64, 129, 240, 241, 500, 1200}) {
    const uint64_t position = append(size, size);
    LogEntry entry;
    ASSERT_EQ(log_.read(position, &entry), Read::kEntry);
    for (size_t bit = 0; bit < kOutcomeAt * 8; ++bit) {
      flip(slot(position), bit);
      EXPECT_TRUE(refused(position)) << "bit " << bit << " of an entry with payload " << size;
      flip(slot(position), bit);
    }
    char* const payload = log_.payload_at(entry.payload_offset);
    for (size_t bit = 0; bit < size * 8; ++bit) {
      flip(payload, bit);
      EXPECT_EQ(log_.read(position, &entry), Read::kCorrupt) << "payload bit " << bit;
      flip(payload, bit);
    }
    EXPECT_EQ(log_.read(position, &entry), Read::kEntry);
  }
}

TEST_F(StableLogDamageTest, EveryFlippedBitOfAnOutcomeLeavesNoneAndTheEntryWhole) {
  const uint64_t position = append(1, 20);
  for (const uint32_t value : {0u, 1u, 12345u, UINT32_MAX - 1}) {
    const uint64_t none = 0;
    memcpy(slot(position) + kOutcomeAt, &none, sizeof(none));
    log_.set_outcome(position, value);
    for (size_t bit = 0; bit < 64; ++bit) {
      flip(slot(position) + kOutcomeAt, bit);
      uint32_t read_back;
      LogEntry entry;
      EXPECT_FALSE(log_.outcome(position, &read_back)) << value << " bit " << bit;
      EXPECT_EQ(log_.read(position, &entry), Read::kEntry);
      flip(slot(position) + kOutcomeAt, bit);
    }
  }
}

TEST_F(StableLogDamageTest, ADamagedOutcomeCanBeSetAgain) {
  const uint64_t position = append(1, 0);
  log_.set_outcome(position, 5);
  flip(slot(position) + kOutcomeAt, 40);
  log_.set_outcome(position, 6);
  uint32_t value;
  ASSERT_TRUE(log_.outcome(position, &value));
  EXPECT_EQ(value, 6u);
}

TEST_F(StableLogDamageTest, AnOutcomeOfAnotherPositionIsNone) {
  const uint64_t first = append(1, 0);
  const uint64_t second = append(2, 0);
  log_.set_outcome(first, 5);
  memcpy(slot(second) + kOutcomeAt, slot(first) + kOutcomeAt, 8);
  uint32_t value;
  EXPECT_FALSE(log_.outcome(second, &value));
}

TEST_F(StableLogDamageTest, PublishingClearsTheOutcomeWordOfTheLapBefore) {
  for (uint64_t n = 0; n < 64; ++n) log_.set_outcome(append(n, 0), 5);
  log_.release(64, 0);
  uint64_t word;
  append(64, 0);
  memcpy(&word, slot(0) + kOutcomeAt, sizeof(word));
  EXPECT_EQ(word, 0u);
  log_.reserve();
  log_.seal_holes();
  memcpy(&word, slot(1) + kOutcomeAt, sizeof(word));
  EXPECT_EQ(word, 0u);
}

TEST_F(StableLogDamageTest, ASlotCopiedToAnotherPositionIsRefusedEvenWithItsStamp) {
  const uint64_t first = append(1, 10);
  const uint64_t second = append(2, 10);
  memcpy(slot(second), slot(first), 64);
  EXPECT_TRUE(refused(second));
  const uint64_t stamp = second + 1;
  memcpy(slot(second), &stamp, sizeof(stamp));
  LogEntry entry;
  EXPECT_EQ(log_.read(second, &entry), Read::kCorrupt);
}

TEST_F(StableLogDamageTest, ASlotOfAnotherMemoryIsRefused) {
  StableMemory other = create_or_abort(directory_.file("other"), kSmallLayout);
  StableLog other_log(other);
  const LogEntry written{1, 2, 3, 4, 5, 6, 7, 0, 0};
  ASSERT_EQ(log_.append(written), other_log.append(written));
  LogEntry entry;
  ASSERT_EQ(log_.read(0, &entry), Read::kEntry);
  memcpy(slot(0), other.entries(), 64);
  EXPECT_EQ(log_.read(0, &entry), Read::kCorrupt);
}

TEST_F(StableLogDamageTest, RandomDamageIsNeverAnotherEntry) {
  std::mt19937_64 random(test_seed());
  const uint64_t position = append(7, 100);
  const std::string good(slot(position), 64);
  for (int round = 0; round < 100'000; ++round) {
    const size_t from = random() % kOutcomeAt;
    const size_t size = 1 + random() % (kOutcomeAt - from);
    for (size_t at = from; at < from + size; ++at) slot(position)[at] = static_cast<char>(random());
    if (memcmp(slot(position), good.data(), kOutcomeAt) != 0) {
      ASSERT_TRUE(refused(position)) << round;
    }
    memcpy(slot(position), good.data(), 64);
  }
}

TEST_F(StableLogDamageTest, LeftoversOfAnEarlierLapUnderThisLapsStampAreRefused) {
  // What a torn publish would look like if its stores came in another order.
  for (uint64_t n = 0; n < 64; ++n) append(n, 0);
  log_.release(64, 0);
  const uint64_t position = log_.reserve();
  const uint64_t stamp = position + 1;
  memcpy(slot(position), &stamp, sizeof(stamp));
  LogEntry entry;
  EXPECT_EQ(log_.read(position, &entry), Read::kCorrupt);
}

TEST_F(StableLogDamageTest, APayloadThatWasNeverAllocatedOrIsOverwrittenIsRefused) {
  LogEntry beyond{};
  beyond.kind = 1;
  beyond.payload_offset = 64;
  beyond.payload_size_bytes = 8;
  const uint64_t position = log_.append(beyond);
  LogEntry entry;
  EXPECT_EQ(log_.read(position, &entry), Read::kCorrupt);
  log_.allocate_payload(72);
  EXPECT_EQ(log_.read(position, &entry), Read::kEntry);
  log_.allocate_payload(4096);
  EXPECT_EQ(log_.read(position, &entry), Read::kCorrupt);
}

}  // namespace
}  // namespace auxin::stm
