// SPDX-License-Identifier: Apache-2.0
#include "stmemu/log/log_survey.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string.h>

#include "stmemu/log/stable_log.h"
#include "stmemu/test_memory.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {
namespace {

class LogSurveyTest : public testing::Test {
 protected:
  LogSurveyTest() : memory_(create_or_abort(path_, kSmallLayout)), log_(memory_) {
    StableLog::format(memory_);
  }
  void append(const std::string& payload) {
    LogEntry entry{};
    entry.kind = 3;
    entry.payload_offset = log_.allocate_payload(payload.size());
    entry.payload_size_bytes = static_cast<uint32_t>(payload.size());
    memcpy(log_.payload_at(entry.payload_offset), payload.data(), payload.size());
    log_.append(entry);
  }
  LogSurvey survey() {
    const Result<LogSurvey> result = survey_log(path_);
    EXPECT_TRUE(result) << result.error();
    return result ? result.value() : LogSurvey{};
  }

  TestDirectory directory_;
  std::string path_ = directory_.file("memory");
  StableMemory memory_;
  StableLog log_;
};

TEST_F(LogSurveyTest, CountsEntriesHolesAndWhatIsOnItsWay) {
  append("one");
  append("two");
  log_.reserve();
  EXPECT_EQ(log_.seal_holes(), 1u);
  append("four");
  log_.reserve();
  const LogSurvey found = survey();
  EXPECT_EQ(found.layout.entry_capacity, kSmallLayout.entry_capacity);
  EXPECT_EQ(found.begin, 0u);
  EXPECT_EQ(found.end, 5u);
  EXPECT_EQ(found.entries, 3u);
  EXPECT_EQ(found.holes, 1u);
  EXPECT_EQ(found.unpublished, 1u);
  EXPECT_EQ(found.damaged, 0u);
  EXPECT_EQ(found.payload_end, 24u);
}

TEST_F(LogSurveyTest, FindsEveryFlippedBitOfAnEntryAndItsPayload) {
  append("payload of it");
  append("next");
  char* const slot = static_cast<char*>(memory_.entries());
  const auto flipped = [&](char* byte, int bit) {
    *byte = static_cast<char>(*byte ^ (1 << bit));
    const LogSurvey found = survey();
    *byte = static_cast<char>(*byte ^ (1 << bit));
    return found;
  };
  for (uint64_t at = 0; at < 56; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      const LogSurvey found = flipped(slot + at, bit);
      // A stamp that became 0 is what an entry looks like that was never stored.
      const bool gone = at == 0 && bit == 0;
      EXPECT_EQ(found.damaged, gone ? 0u : 1u) << at << "." << bit;
      EXPECT_EQ(found.first_damaged, 0u);
      EXPECT_EQ(found.entries, 1u);
    }
  }
  for (uint64_t at = 0; at < 13; ++at) {
    EXPECT_EQ(flipped(static_cast<char*>(memory_.payload()) + at, 3).damaged, 1u) << at;
  }
  EXPECT_EQ(survey().damaged, 0u);
}

TEST_F(LogSurveyTest, WordsThatCannotBeAreDamage) {
  append("one");
  const uint64_t wild = ~uint64_t{0};
  memcpy(memory_.log_page(), &wild, sizeof(wild));
  EXPECT_EQ(survey().damaged, 1u);
}

TEST_F(LogSurveyTest, GoesRoundTheRing) {
  for (uint64_t round = 0; round < 100; ++round) {
    if (round >= 60) log_.release(round - 59, log_.payload_end());
    append("");
  }
  const LogSurvey found = survey();
  EXPECT_EQ(found.begin, 40u);
  EXPECT_EQ(found.end, 100u);
  EXPECT_EQ(found.entries, 60u);
  EXPECT_EQ(found.damaged, 0u);
}

TEST_F(LogSurveyTest, AMemoryWithoutAGroupIsRefused) {
  ASSERT_TRUE(create_memory(directory_.file("plain"), {}));
  const Result<LogSurvey> result = survey_log(directory_.file("plain"));
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error(), testing::HasSubstr("not a group's: it has no log"));
}

}  // namespace
}  // namespace auxin::stm
