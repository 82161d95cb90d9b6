// SPDX-License-Identifier: Apache-2.0
//
// Goal: a directory of segments gives back the newest image that can be had, and says what was
// wrong with the rest.
#include "checkpoint/store/file_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <random>
#include <set>
#include <vector>

#include "checkpoint/store/tests/store_test_directory.h"

namespace auxin::checkpoint {
namespace {

using test::message_to;
using test::view;
namespace fs = std::filesystem;

class FileStoreTest : public testing::Test {
 protected:
  std::unique_ptr<FileStore> open(bool read_only = false) {
    FileStoreOptions options;
    options.sync = false;
    options.read_only = read_only;
    Expected<std::unique_ptr<FileStore>> store = FileStore::open(directory_.path(), options);
    EXPECT_TRUE(store) << store.outcome().sentence;
    return store ? std::move(*store) : nullptr;
  }
  void fill(uint64_t increments) {
    const auto store = open();
    ASSERT_TRUE(store->put(view(message_to(1, 0))));
    for (uint64_t i = 1; i <= increments; ++i) {
      ASSERT_TRUE(store->put(view(message_to(i + 1, i))));
    }
  }
  // The sequence of the image that a reader gets; 0: none.
  uint64_t readable(std::string* why = nullptr) {
    const auto store = open(true);
    Image image;
    const Outcome outcome = store->read(&image);
    if (why != nullptr) *why = outcome.sentence;
    if (!outcome) return 0;
    EXPECT_TRUE(test::is_consistent(image));
    return image.position().sequence;
  }
  std::set<std::string> names() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_.path())) {
      names.insert(entry.path().filename());
    }
    return names;
  }
  std::string file_of(uint64_t sequence) const {
    for (const std::string& name : names()) {
      if (std::stoull(name.substr(0, 20)) == sequence) return directory_.path() + "/" + name;
    }
    return {};
  }

  test::StoreDirectory directory_;
};

TEST_F(FileStoreTest, TheNewestImageComesBack) {
  EXPECT_EQ(open()->read(std::make_unique<Image>().get()).status, AUXIN_CHECKPOINT_EMPTY);
  fill(5);
  EXPECT_EQ(readable(), 6u);
  const auto store = open();
  EXPECT_EQ(store->report().sequence, 6u);
  EXPECT_EQ(store->report().messages, 6u);
  struct stat status;
  ASSERT_EQ(stat(file_of(3).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(FileStoreTest, WhatMayNotFollowIsRefused) {
  fill(3);
  const auto store = open();
  EXPECT_EQ(store->put(view(message_to(4, 3))).status, AUXIN_CHECKPOINT_DUPLICATE);
  EXPECT_EQ(store->put(view(message_to(3, 2))).status, AUXIN_CHECKPOINT_STALE);
  EXPECT_EQ(store->put(view(message_to(7, 6))).status, AUXIN_CHECKPOINT_GAP);
  EXPECT_TRUE(store->put(view(message_to(5, 4))));
}

TEST_F(FileStoreTest, ANewBaseMakesTheOldSegmentsSuperfluous) {
  fill(3);
  const auto store = open();
  ASSERT_TRUE(store->put(view(message_to(5, 0))));
  EXPECT_EQ(names().size(), 1u);
  EXPECT_EQ(readable(), 5u);
}

TEST_F(FileStoreTest, BaseAndIncrementsAreCompactedIntoOne) {
  fill(7);
  const auto store = open();
  ASSERT_TRUE(store->compact());
  EXPECT_EQ(names().size(), 1u);
  EXPECT_EQ(store->report().messages, 1u);
  EXPECT_EQ(readable(), 8u);
  EXPECT_TRUE(store->put(view(message_to(9, 8)))) << "increments follow";
}

TEST_F(FileStoreTest, OneProcessAtATimePuts) {
  fill(1);
  const auto store = open();
  FileStoreOptions options;
  EXPECT_EQ(FileStore::open(directory_.path(), options).status(), AUXIN_CHECKPOINT_BUSY);
  EXPECT_EQ(open(true)->put(view(message_to(3, 2))).status, AUXIN_CHECKPOINT_WRONG_CALL);
}

TEST_F(FileStoreTest, WhatWasNeverCompletedIsRemoved) {
  fill(1);
  std::ofstream(directory_.path() + "/.unfinished-00000000000000000003-increment") << "torn";
  std::ofstream(directory_.path() + "/somebody's notes") << "stay";
  EXPECT_EQ(readable(), 2u);
  EXPECT_EQ(names().size(), 4u) << "a reader removes nothing";
  open();
  EXPECT_EQ(names().size(), 3u);
}

TEST_F(FileStoreTest, ADamagedIncrementEndsTheImageBeforeIt) {
  fill(5);
  std::mt19937_64 random(7);
  const std::string name = file_of(4);
  const uint64_t bytes = fs::file_size(name);
  for (int round = 0; round < 200; ++round) {
    const uint64_t at = random() % bytes;
    std::fstream file(name, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const char before = static_cast<char>(file.get());
    const auto put = [&](char byte) {
      file.seekp(static_cast<std::streamoff>(at));
      file.put(byte);
      file.flush();
    };
    put(static_cast<char>(before ^ (1 << random() % 8)));
    ASSERT_EQ(readable(), 3u) << "byte " << at;
    put(before);
  }
  fs::resize_file(name, bytes - 1);
  ASSERT_EQ(readable(), 3u);
  const auto store = open();
  EXPECT_EQ(store->report().sequence, 3u);
  EXPECT_EQ(store->report().damage.size(), 3u) << "the damaged one, and two that follow it";
  EXPECT_EQ(store->put(view(message_to(7, 6))).status, AUXIN_CHECKPOINT_GAP);
  ASSERT_TRUE(store->put(view(message_to(7, 0)))) << "a base mends it";
  EXPECT_EQ(readable(), 7u);
  EXPECT_EQ(names().size(), 1u);
}

TEST_F(FileStoreTest, ADamagedBaseLeavesNothingAndSaysSo) {
  fill(2);
  fs::resize_file(file_of(1), 100);
  std::string why;
  EXPECT_EQ(readable(&why), 0u);
  EXPECT_NE(why.find("commit record"), std::string::npos) << why;
}

TEST_F(FileStoreTest, SegmentsUnderAnothersNameAreNotTaken) {
  fill(2);
  fs::copy_file(file_of(2), directory_.path() + "/00000000000000000004-increment");
  fs::copy_file(file_of(1), directory_.path() + "/00000000000000000009-base");
  fs::create_symlink(file_of(1), directory_.path() + "/00000000000000000010-base");
  EXPECT_EQ(readable(), 3u);
}

}  // namespace
}  // namespace auxin::checkpoint
