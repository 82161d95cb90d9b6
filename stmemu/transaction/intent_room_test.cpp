// SPDX-License-Identifier: Apache-2.0
//
// Goal: a transaction of many objects finds room for its list of intents where the list matters
// most: in a memory that is full, when objects are freed, and in the smallest memory.
// Method: memories filled to the brim with one size after another, then freed in transactions of
// many objects.
#include <gtest/gtest.h>

#include <algorithm>

#include "stmemu/memory/page_table.h"
#include "stmemu/test_memory.h"
#include "stmemu/transaction/activation.h"
#include "stmemu/transaction/descriptor.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {
namespace {

class IntentRoomTest : public testing::TestWithParam<Mode> {
 protected:
  void make_file(uint64_t bank_bytes) {
    CreateOptions options;
    options.bank_size_bytes = bank_bytes;
    options.mode = GetParam();
    const Result<bool> created = create_memory(path_, options);
    ASSERT_TRUE(created) << created.error();
  }
  void create(uint64_t bank_bytes) {
    make_file(bank_bytes);
    const Result<Findings> attached = attach(memory_, path_);
    ASSERT_TRUE(attached) << attached.error();
  }
  std::unique_ptr<Activation> activate() {
    std::unique_ptr<Activation> activation;
    EXPECT_EQ(Activation::make(memory_, &activation), Status::kOk);
    return activation;
  }
  // Objects of ever smaller sizes until not even the smallest fits, in transactions that need no
  // block.
  std::vector<uint64_t> fill(Activation& activation,
                             const std::vector<uint64_t>& sizes = {8000, 1000, 200, 16}) {
    std::vector<uint64_t> made;
    for (const uint64_t size_bytes : sizes) {
      EXPECT_EQ(activation.begin(), Status::kOk);
      uint64_t address = 0;
      while (activation.allocate(size_bytes, ObjectKind::kUser, 0, &address) == Status::kOk) {
        made.push_back(address);
        if (made.size() % 100 == 0) {
          EXPECT_EQ(activation.commit(), Status::kOk);
          EXPECT_EQ(activation.begin(), Status::kOk);
        }
      }
      EXPECT_EQ(activation.commit(), Status::kOk);
    }
    // What is left is too small for a run of any kind.
    EXPECT_LT(PageTable(memory_).largest_free_run(), memory_.classes().shape(0).pages);
    return made;
  }
  // All in one transaction.
  static Status free_all(Activation& activation, const std::vector<uint64_t>& objects) {
    EXPECT_EQ(activation.begin(), Status::kOk);
    for (const uint64_t address : objects) {
      Status status = activation.open(address, OpenFor::kChanging, Wait::none());
      if (status == Status::kOk) status = activation.free(address);
      if (status != Status::kOk) {
        EXPECT_EQ(activation.abort(), Status::kOk);
        return status;
      }
    }
    return activation.commit();
  }

  TestDirectory directory_;
  const std::string path_ = directory_.file("memory");
  PhysicalMemory memory_;
};

TEST_P(IntentRoomTest, ManyObjectsOfAFullMemoryAreFreedAtOnce) {
  create(1024 * kPageBytes);
  std::unique_ptr<Activation> activation = activate();
  const std::vector<uint64_t> made = fill(*activation);
  ASSERT_GT(made.size(), 2 * kDescriptorIntents);
  EXPECT_EQ(read_blocks(memory_, activation->descriptor()).size(), 0u) << "none so far";
  EXPECT_EQ(free_all(*activation, made), Status::kOk) << activation->message();
  EXPECT_EQ(read_blocks(memory_, activation->descriptor()).size(), 1u);
}

// Each descriptor keeps its block: one more is set aside whenever one is taken.
TEST_P(IntentRoomTest, ABlockIsLeftThoughManyThreadsHaveTakenOne) {
  create(4096 * kPageBytes);
  std::vector<std::unique_ptr<Activation>> threads;
  std::vector<uint64_t> made;
  for (int thread = 0; thread < 45; ++thread) {
    Activation& activation = *threads.emplace_back(activate());
    EXPECT_EQ(activation.begin(), Status::kOk);
    for (uint64_t count = 0; count < kDescriptorIntents; ++count) {
      uint64_t address = 0;
      if (thread == 0) {
        ASSERT_EQ(activation.allocate(16, ObjectKind::kUser, 0, &address), Status::kOk);
        made.push_back(address);
      } else {
        ASSERT_EQ(activation.open(made[count], OpenFor::kChanging, Wait::none()), Status::kOk);
      }
    }
    EXPECT_EQ(activation.commit(), Status::kOk);
    EXPECT_EQ(read_blocks(memory_, activation.descriptor()).size(), 1u);
  }
  std::unique_ptr<Activation> last = activate();
  const std::vector<uint64_t> filled = fill(*last);
  EXPECT_EQ(free_all(*last, {filled.begin(), filled.begin() + 200}), Status::kOk)
      << last->message();
}

// A file that was made without.
TEST_P(IntentRoomTest, WhoeverAttachesAloneSetsABlockAside) {
  make_file(1024 * kPageBytes);
  const auto runs_for_blocks = [](PhysicalMemory& memory) {
    std::vector<uint64_t> runs;
    PageTable(memory).walk([&](uint64_t page, const PageHead& head) {
      if (static_cast<PageUse>(head.use) == PageUse::kDescriptors &&
          head.size_class == memory.classes().class_of(kIntentBlockBytes)) {
        runs.push_back(page);
      }
      return true;
    });
    return runs;
  };
  for (int round = 0; round < 3; ++round) {
    PhysicalMemory memory;
    ASSERT_TRUE(attach(memory, path_));
    const std::vector<uint64_t> runs = runs_for_blocks(memory);
    ASSERT_EQ(runs.size(), 1u);
    if (round == 1) PageTable(memory).dissolve_run(runs[0]);
  }
}

TEST_P(IntentRoomTest, TheSmallestMemoryHasRoomForAListToo) {
  create(kMinBankBytes);
  std::unique_ptr<Activation> activation = activate();
  for (const std::vector<uint64_t>& sizes :
       {std::vector<uint64_t>{16}, {200, 16}, {1000, 200, 16}, {8000, 1000, 200, 16}, {16}}) {
    const std::vector<uint64_t> made = fill(*activation, sizes);
    ASSERT_GT(made.size(), 20u);
    EXPECT_EQ(free_all(*activation, made), Status::kOk) << activation->message();
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, IntentRoomTest, testing::Values(Mode::kChecked, Mode::kWindow));

}  // namespace
}  // namespace auxin::stm
