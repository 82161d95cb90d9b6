// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/log_check.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>

#include <filesystem>
#include <optional>

namespace auxin::supervisor {
namespace {

constexpr uint64_t kEntryCount = 40;
constexpr uint64_t kSlotSizeBytes = 64;
constexpr auto kNever = std::chrono::hours(1);

class LogCheck : public ::testing::Test {
 protected:
  LogCheck() {
    char pattern[] = "/dev/shm/auxin-test-XXXXXX";
    directory_ = mkdtemp(pattern);
    replication::Settings settings{};
    settings.style = replication::Style::kSemiActive;
    settings.replica_count = 3;
    const stm::Layout layout{replication::kControlSizeBytes, 1 << 14, 1 << 17};
    if (!GroupMemory::create(path(), "group", layout, settings)) abort();
    auto group = GroupMemory::open(path(), true);
    if (!group) abort();
    group_.emplace(std::move(*group));
    auto memory = stm::StableMemory::open(path(), replication::kControlVersion);
    if (!memory) abort();
    memory_ = std::move(*memory);
    log_.emplace(memory_);
  }
  ~LogCheck() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  std::string path() const { return directory_ + "/memory"; }

  // Entries with and without payload; every fourth has an outcome.
  void fill(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
      stm::LogEntry entry{};
      entry.kind = 4;
      entry.number = i;
      if (i % 2 == 0) {
        entry.payload_size_bytes = 10;
        entry.payload_offset = log_->allocate_payload(entry.payload_size_bytes);
        memcpy(log_->payload_at(entry.payload_offset), "0123456789", 10);
      }
      const uint64_t position = log_->append(entry);
      if (i % 4 == 0) log_->set_outcome(position, 11);
    }
  }
  std::string fault() const {
    return log_fault(*group_, [](uint64_t, uint64_t) {}, kNever);
  }
  char* slot(uint64_t position) {
    return static_cast<char*>(memory_.entries()) + position * kSlotSizeBytes;
  }
  void expect_named(uint64_t position) const {
    const std::string said = fault();
    EXPECT_NE(said.find("entry " + std::to_string(position) + " of the log"), std::string::npos)
        << said;
    EXPECT_TRUE(said.starts_with(path() + ": ")) << said;
  }

  std::string directory_;
  std::optional<GroupMemory> group_;
  stm::StableMemory memory_;
  std::optional<stm::StableLog> log_;
};

TEST_F(LogCheck, WholeLogHasNoFault) {
  EXPECT_EQ(fault(), "");
  fill(kEntryCount);
  EXPECT_EQ(fault(), "");
}

TEST_F(LogCheck, HolesOfKilledThreadsAreNoDamage) {
  log_->reserve();
  fill(3);
  log_->reserve();
  log_->reserve();
  EXPECT_EQ(fault(), "");
  log_->seal_holes();
  EXPECT_EQ(fault(), "");
}

// Goal: no flipped byte of an entry, its outcome or its payload gets by.
TEST_F(LogCheck, EveryFlippedByteIsFound) {
  fill(kEntryCount);
  for (const uint64_t position : {uint64_t{0}, uint64_t{7}, kEntryCount - 2, kEntryCount - 1}) {
    for (uint64_t byte = 0; byte < kSlotSizeBytes; ++byte) {
      slot(position)[byte] ^= 0x5a;
      expect_named(position);
      slot(position)[byte] ^= 0x5a;
    }
  }
  *log_->payload_at(0) ^= 0x01;
  expect_named(0);
  *log_->payload_at(0) ^= 0x01;
  EXPECT_EQ(fault(), "");
}

TEST_F(LogCheck, EndBeyondTheLogIsFound) {
  const uint64_t nonsense = uint64_t{1} << 40;
  memcpy(memory_.log_page(), &nonsense, sizeof(nonsense));
  EXPECT_NE(fault().find("damaged: the log claims"), std::string::npos) << fault();
}

TEST_F(LogCheck, TellsHowFarItIs) {
  fill(10'000);
  std::vector<uint64_t> told;
  const auto tell = [&](uint64_t checked, uint64_t all) {
    EXPECT_EQ(all, 10'000u);
    told.push_back(checked);
  };
  EXPECT_EQ(log_fault(*group_, tell, std::chrono::milliseconds(0)), "");
  EXPECT_EQ(told, (std::vector<uint64_t>{0, 4096, 8192}));
}

}  // namespace
}  // namespace auxin::supervisor
