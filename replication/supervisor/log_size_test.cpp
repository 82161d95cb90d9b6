// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/log_size.h"

#include <gtest/gtest.h>

#include <bit>

#include "replication/group_state.h"

namespace auxin::supervisor {
namespace {

constexpr uint64_t kGib = uint64_t{1} << 30;
constexpr uint64_t kMib = uint64_t{1} << 20;

uint64_t log_bytes(const stm::Layout& layout) {
  return layout.entry_capacity * 64 + layout.payload_size_bytes;
}

TEST(LogSize, DefaultWhereThereIsRoom) {
  auto layout = choose_layout({}, 64 * kGib, "/x");
  ASSERT_TRUE(layout) << layout.error();
  EXPECT_EQ(layout->entry_capacity, kDefaultLogEntries);
  EXPECT_EQ(layout->payload_size_bytes, kDefaultLogPayloadBytes);
  EXPECT_EQ(layout->control_size_bytes, replication::kControlSizeBytes);
}

TEST(LogSize, IsCutToHalfOfTheFreeSpace) {
  for (uint64_t free_bytes = 128 * kMib; free_bytes < 8 * kGib; free_bytes += 97 * kMib) {
    auto layout = choose_layout({}, free_bytes, "/x");
    ASSERT_TRUE(layout) << layout.error();
    const uint64_t left = free_bytes - replication::kControlSizeBytes;
    EXPECT_LE(log_bytes(*layout), left / 2);
    if (log_bytes(*layout) < 2 * kGib) {
      EXPECT_GT(4 * log_bytes(*layout), left / 2) << free_bytes;
    }
    EXPECT_TRUE(std::has_single_bit(layout->entry_capacity));
    EXPECT_TRUE(std::has_single_bit(layout->payload_size_bytes));
  }
}

TEST(LogSize, TooLittleSpaceIsAnErrorThatNamesTheDirectory) {
  for (const uint64_t free_bytes : {uint64_t{0}, kMib, 70 * kMib}) {
    auto layout = choose_layout({}, free_bytes, "/some/where");
    ASSERT_FALSE(layout);
    EXPECT_TRUE(layout.error().starts_with("/some/where: not enough space")) << layout.error();
  }
}

TEST(LogSize, NamedSizesAreTakenAsTheyAre) {
  auto small = choose_layout({4096, kMib}, kGib, "/x");
  ASSERT_TRUE(small) << small.error();
  EXPECT_EQ(small->entry_capacity, 4096u);
  EXPECT_EQ(small->payload_size_bytes, kMib);
  auto half = choose_layout({0, 256 * kMib}, kGib, "/x");
  ASSERT_TRUE(half) << half.error();
  EXPECT_EQ(half->payload_size_bytes, 256 * kMib);
  EXPECT_LT(half->entry_capacity, kDefaultLogEntries);
  EXPECT_FALSE(choose_layout({kDefaultLogEntries, kGib}, kGib, "/x"));
  EXPECT_FALSE(choose_layout({0, 2 * kGib}, kGib, "/x"));
}

}  // namespace
}  // namespace auxin::supervisor
