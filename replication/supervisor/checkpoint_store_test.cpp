// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/checkpoint_store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <string.h>

#include <filesystem>
#include <fstream>

namespace auxin::supervisor {
namespace {

namespace fs = std::filesystem;

using checkpoint::CommitRecord;
using checkpoint::SegmentHeader;

class CheckpointStore : public testing::Test {
 protected:
  CheckpointStore() {
    char name[] = "/tmp/auxin-store-XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~CheckpointStore() override { fs::remove_all(directory_); }

  // Only what a listing reads: pages_bytes of nothing, header, commit record.
  void write(uint64_t base, uint64_t sequence, uint64_t image_id, uint64_t previous_digest,
             size_t pages_bytes = 0) {
    ASSERT_TRUE(make_room_for_base(directory_, base));
    SegmentHeader header{};
    memcpy(header.magic, checkpoint::kImageMagic, sizeof header.magic);
    header.version = checkpoint::kImageVersion;
    header.image_id = image_id;
    header.sequence = sequence;
    header.previous_digest = previous_digest;
    header.log_position = 1000 + base + sequence;
    CommitRecord commit{};
    memcpy(commit.magic, checkpoint::kCommitMagic, sizeof commit.magic);
    commit.image_id = image_id;
    commit.sequence = sequence;
    commit.header_offset = pages_bytes;
    commit.digest = image_id * 100 + sequence;
    std::ofstream file(path(base, sequence), std::ios::binary);
    file << std::string(pages_bytes, 'p');
    file.write(reinterpret_cast<const char*>(&header), sizeof header);
    file.write(reinterpret_cast<const char*>(&commit), sizeof commit);
  }
  // `length` segments that follow each other.
  void write_chain(uint64_t base, uint64_t length, uint64_t image_id) {
    for (uint64_t i = 0; i < length; ++i)
      write(base, i, image_id, i == 0 ? 0 : image_id * 100 + i - 1);
  }
  std::string path(uint64_t base, uint64_t sequence) const {
    return fmt::format("{}/{}/{}.segment", directory_, base, sequence);
  }
  std::vector<uint64_t> numbers() const {
    std::vector<uint64_t> found;
    for (const CheckpointSummary& each : list_checkpoints(directory_)) found.push_back(each.number);
    return found;
  }
  using Numbers = std::vector<uint64_t>;

  std::string directory_;
};

TEST_F(CheckpointStore, ListsEachSegmentWithThoseBeforeIt) {
  write(1, 0, 7, 0, 5000);
  write(1, 1, 7, 700, 300);
  write_chain(12, 1, 8);
  const auto all = list_checkpoints(directory_);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[1].number, 2u);
  EXPECT_EQ(all[1].base, 1u);
  EXPECT_EQ(all[1].log_position, 1002u);
  EXPECT_EQ(all[1].segments, (std::vector<std::string>{path(1, 0), path(1, 1)}));
  EXPECT_EQ(all[1].chain_size_bytes, all[0].size_bytes + all[1].size_bytes);
  EXPECT_EQ(all[1].delta_size_bytes, all[1].size_bytes);
  EXPECT_EQ(all[2].number, 12u);
  EXPECT_EQ(all[2].chain_size_bytes, all[2].size_bytes);
}

TEST_F(CheckpointStore, WhatIsBehindAGapIsNone) {
  write_chain(1, 4, 7);
  fs::remove(path(1, 2));
  EXPECT_EQ(numbers(), (Numbers{1, 2}));
  EXPECT_EQ(next_checkpoint_number(directory_), 5u) << "its number has been given";
}

TEST_F(CheckpointStore, WhatDoesNotFollowIsNone) {
  write_chain(1, 2, 7);
  write(1, 2, 7, 799);   // another segment was before it
  EXPECT_EQ(numbers(), (Numbers{1, 2}));
  write(1, 2, 9, 701);   // another image's
  EXPECT_EQ(numbers(), (Numbers{1, 2}));
  write(1, 2, 7, 701);
  EXPECT_EQ(numbers(), (Numbers{1, 2, 3}));
}

TEST_F(CheckpointStore, WhatWasNeverFinishedIsNone) {
  write_chain(1, 2, 7);
  std::ofstream(path(1, 2) + ".new") << "begun";
  ASSERT_TRUE(make_room_for_base(directory_, 9));
  fs::resize_file(path(1, 1), fs::file_size(path(1, 1)) - 1);
  EXPECT_EQ(numbers(), Numbers{1});
  EXPECT_EQ(next_checkpoint_number(directory_), 10u);
  fs::remove(fmt::format("{}/9", directory_));
  EXPECT_EQ(next_checkpoint_number(directory_), 4u);
}

TEST_F(CheckpointStore, KeepsTheChainsOfTheNewest) {
  write_chain(1, 3, 7);
  write_chain(4, 2, 8);
  write_chain(6, 1, 9);
  remove_old_checkpoints(directory_, 6, 2);
  EXPECT_EQ(numbers(), (Numbers{4, 5, 6}));
  remove_old_checkpoints(directory_, 5, 2);   // 6 is not published yet
  EXPECT_EQ(numbers(), (Numbers{4, 5, 6}));
  remove_old_checkpoints(directory_, 6, 1);
  EXPECT_EQ(numbers(), Numbers{6});
}

TEST_F(CheckpointStore, WhatWasBegunAndNeverCompletedIsRemovedWithTheOld) {
  write_chain(1, 1, 7);
  ASSERT_TRUE(make_room_for_base(directory_, 2));
  write_chain(3, 1, 8);
  remove_old_checkpoints(directory_, 3, 2);
  EXPECT_FALSE(fs::exists(directory_ + "/2"));
  EXPECT_EQ(numbers(), (Numbers{1, 3}));
}

TEST_F(CheckpointStore, LaterOnesAreRemovedInAllChains) {
  write_chain(1, 4, 7);
  std::ofstream(path(1, 3) + ".file.9") << "a copy";
  write_chain(9, 2, 8);
  remove_later_checkpoints(directory_, 3);
  EXPECT_EQ(numbers(), (Numbers{1, 2, 3}));
  EXPECT_FALSE(fs::exists(path(1, 3) + ".file.9"));
  EXPECT_FALSE(fs::exists(directory_ + "/9"));
}

TEST_F(CheckpointStore, AFailedDeltaIsRemovedAndItsChainStays) {
  write_chain(1, 3, 7);
  std::ofstream(path(1, 2) + ".new") << "begun";
  remove_checkpoint(directory_, 1, 3);
  EXPECT_EQ(numbers(), (Numbers{1, 2}));
  EXPECT_FALSE(fs::exists(path(1, 2) + ".new"));
  remove_checkpoint(directory_, 1, 1);
  EXPECT_EQ(numbers(), Numbers{});
}

}  // namespace
}  // namespace auxin::supervisor
