// SPDX-License-Identifier: Apache-2.0
//
// Goal: a stable memory gives back the newest image, after many messages, when it is full, and when
// the one who puts is killed.
#include "checkpoint/store/stable_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "checkpoint/store/tests/store_test_directory.h"
#include "tests/harness/kill_one.h"

namespace auxin::checkpoint {
namespace {

using test::message_to;
using test::view;

class StableStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    stm::NewMemory how;
    how.size_bytes = uint64_t{1} << 20;
    stm::Memory::create(directory_.path("memory"), how);
  }
  std::unique_ptr<StableStore> open(const std::string& name = "bank") {
    Expected<std::unique_ptr<StableStore>> store =
        StableStore::open(directory_.path("memory"), name, UINT64_MAX);
    EXPECT_TRUE(store) << store.outcome().sentence;
    return store ? std::move(*store) : nullptr;
  }
  uint64_t readable() {
    Image image;
    if (!open()->read(&image)) return 0;
    EXPECT_TRUE(test::is_consistent(image));
    return image.position().sequence;
  }
  test::StoreDirectory directory_;
};

TEST_F(StableStoreTest, TheNewestImageComesBackAfterManyMessages) {
  Image image;
  EXPECT_EQ(open()->read(&image).status, AUXIN_CHECKPOINT_EMPTY);
  const auto store = open();
  ASSERT_TRUE(store->put(view(message_to(1, 0))));
  for (uint64_t i = 1; i < 200; ++i) {
    const Outcome outcome = store->put(view(message_to(i + 1, i)));
    ASSERT_TRUE(outcome) << i << ": " << outcome.sentence;
  }
  EXPECT_EQ(readable(), 200u);
  EXPECT_LE(store->report().messages, 64u);
  EXPECT_EQ(store->put(view(message_to(200, 199))).status, AUXIN_CHECKPOINT_DUPLICATE);
  EXPECT_EQ(store->put(view(message_to(300, 299))).status, AUXIN_CHECKPOINT_GAP);
  ASSERT_TRUE(store->compact());
  EXPECT_EQ(store->report().messages, 1u);
  ASSERT_TRUE(store->put(view(message_to(250, 0))));
  EXPECT_EQ(readable(), 250u);
  EXPECT_EQ(open("another")->read(&image).status, AUXIN_CHECKPOINT_EMPTY);
}

TEST_F(StableStoreTest, AFullMemoryIsAnErrorAndTheImageStays) {
  const auto store = open();
  ASSERT_TRUE(store->put(view(message_to(1, 0))));
  const std::string contents(300 << 10, 'x');
  Outcome outcome = Outcome::ok();
  uint64_t sequence = 1;
  for (; outcome && sequence < 10; sequence += outcome ? 1 : 0) {
    MessageWriter writer({1, sequence, sequence + 1, 0, 0}, {});
    writer.begin_region(10 + sequence, contents.size(), 0, kWhole);
    writer.add_contents(0, contents.data(), contents.size());
    outcome = store->put(view(*writer.finish()));
  }
  EXPECT_EQ(outcome.status, AUXIN_CHECKPOINT_NO_SPACE) << outcome.sentence;
  EXPECT_GT(sequence, 1u);
  Image image;
  ASSERT_TRUE(store->read(&image));
  EXPECT_EQ(image.position().sequence, sequence);
}

TEST_F(StableStoreTest, AKilledSaverLeavesAWholeImage) {
  std::mt19937 random(5);
  for (int round = 0; round < 40; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      const auto store = open();
      Image image;
      uint64_t sequence = store->read(&image) ? image.position().sequence : 0;
      for (;;) {
        const uint64_t next = sequence + 1;
        if (!store->put(view(message_to(next, next % 10 == 1 ? 0 : sequence)))) _exit(1);
        sequence = next;
        if (write(ends[1], &sequence, sizeof(sequence)) < 0) _exit(2);
      }
    }
    close(ends[1]);
    uint64_t last = 0;
    for (uint32_t reads = random() % 30 + 1; reads > 0; --reads) {
      if (read(ends[0], &last, sizeof(last)) <= 0) break;
    }
    kill_one(child, SIGKILL);
    uint64_t sequence = 0;
    while (read(ends[0], &sequence, sizeof(sequence)) == sizeof(sequence)) last = sequence;
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit status " << WEXITSTATUS(status);
    const uint64_t after = readable();
    ASSERT_TRUE(after == last || after == last + 1) << last << ", read " << after;
  }
}

}  // namespace
}  // namespace auxin::checkpoint
