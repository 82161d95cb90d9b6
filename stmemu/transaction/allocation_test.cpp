// SPDX-License-Identifier: Apache-2.0
//
// Goal: objects of every size are made where nothing else is, room that is freed comes back, and an
// address at which no object begins is refused, whatever it is.
// Method: sizes around every boundary; a memory filled to the brim, emptied and filled again;
// random allocating and freeing against a model that knows every byte; addresses at random.
#include <gtest/gtest.h>
#include <string.h>

#include <map>

#include "stmemu/memory/page_table.h"
#include "stmemu/test_memory.h"
#include "stmemu/transaction/activation.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {
namespace {

class AllocationTest : public testing::Test {
 protected:
  explicit AllocationTest(uint64_t bank_bytes = 512 * kPageBytes) {
    CreateOptions options;
    options.bank_size_bytes = bank_bytes;
    const Result<bool> created = create_memory(path_, options);
    EXPECT_TRUE(created) << created.error();
    const Result<Findings> attached = attach(memory_, path_);
    EXPECT_TRUE(attached) << attached.error();
    EXPECT_EQ(Activation::make(memory_, &activation_), Status::kOk);
  }

  Activation& transaction() {
    if (!activation_->active()) {
      EXPECT_EQ(activation_->begin(), Status::kOk);
    }
    return *activation_;
  }
  Status make(uint64_t size_bytes, uint64_t* address) {
    return transaction().allocate(size_bytes, ObjectKind::kUser, 3, address);
  }
  Status open(uint64_t address) {
    return transaction().open(address, OpenFor::kChanging, Wait::none());
  }
  Status remove(uint64_t address) {
    const Status opened = open(address);
    return opened == Status::kOk ? transaction().free(address) : opened;
  }
  void commit() { EXPECT_EQ(transaction().commit(), Status::kOk); }
  void abort() { EXPECT_EQ(transaction().abort(), Status::kOk); }

  // Objects of this size until none fits.
  std::vector<uint64_t> fill(uint64_t size_bytes) {
    std::vector<uint64_t> made;
    uint64_t address = 0;
    Status status;
    while ((status = make(size_bytes, &address)) == Status::kOk) {
      made.push_back(address);
      if (made.size() % 100 == 0) commit();
    }
    EXPECT_EQ(status, Status::kFull);
    commit();
    return made;
  }

  TestDirectory directory_;
  const std::string path_ = directory_.file("memory");
  PhysicalMemory memory_;
  std::unique_ptr<Activation> activation_;
};

TEST_F(AllocationTest, EverySizeIsGivenZeroedAndApartFromAllOthers) {
  std::map<uint64_t, uint64_t> made;  // address: size
  std::vector<uint64_t> sizes;
  for (uint64_t size_bytes = 1; size_bytes <= 300; ++size_bytes) sizes.push_back(size_bytes);
  for (const uint64_t around : {320, 512, 1000, 1024, 2048, 4096, 4097, 8192, 12288, 50000}) {
    for (const uint64_t size_bytes : {around - 1, around, around + 1}) sizes.push_back(size_bytes);
  }
  for (const uint64_t size_bytes : sizes) {
    uint64_t address = 0;
    ASSERT_EQ(make(size_bytes, &address), Status::kOk) << size_bytes;
    std::string seen(size_bytes, 'x');
    ASSERT_EQ(transaction().read(address, 0, seen.data(), size_bytes), Status::kOk);
    EXPECT_EQ(seen, std::string(size_bytes, '\0'));
    EXPECT_EQ(transaction().write(address, size_bytes - 1, "z", 1), Status::kOk);
    const auto next = made.lower_bound(address);
    if (next != made.end()) {
      EXPECT_LE(address + size_bytes, next->first);
    }
    if (next != made.begin()) {
      EXPECT_GE(address, std::prev(next)->first + std::prev(next)->second);
    }
    made[address] = size_bytes;
  }
  commit();
  for (const auto& [address, size_bytes] : made) {
    ASSERT_EQ(open(address), Status::kOk);
    char last = 0;
    EXPECT_EQ(transaction().read(address, size_bytes - 1, &last, 1), Status::kOk);
    EXPECT_EQ(last, 'z');
  }
}

TEST_F(AllocationTest, WhatIsBeyondAnObjectsEndIsNotTouched) {
  for (const uint64_t size_bytes : {1ul, 9ul, 100ul, 20000ul}) {
    for (const uint64_t offset : {size_bytes, size_bytes + 99, uint64_t{1} << 63, ~uint64_t{0}}) {
      uint64_t address = 0;
      char byte[128] = {};
      ASSERT_EQ(make(size_bytes, &address), Status::kOk);
      EXPECT_EQ(transaction().write(address, size_bytes, byte, 0), Status::kOk);
      EXPECT_EQ(transaction().write(address, offset, byte, 1), Status::kOutOfBounds);
      EXPECT_FALSE(activation_->active()) << "a violation aborts";
    }
  }
}

TEST_F(AllocationTest, SizesThatCanNotBeAreRefused) {
  uint64_t address = 0;
  EXPECT_EQ(make(0, &address), Status::kEmpty);
  for (const uint64_t size_bytes :
       {memory_.bank_bytes(), memory_.bank_bytes() + 1, uint64_t{1} << 40, (uint64_t{1} << 40) + 1,
        uint64_t{1} << 48, ~uint64_t{0} - 4096, ~uint64_t{0} - 8, ~uint64_t{0}}) {
    EXPECT_EQ(make(size_bytes, &address), Status::kTooLarge) << size_bytes;
  }
  EXPECT_EQ(make(100, &address), Status::kOk) << "the transaction goes on";
  commit();
}

TEST_F(AllocationTest, AFullMemoryHasRoomAgainForEverySizeOnceObjectsAreFreed) {
  size_t first_time = 0;
  for (int round = 0; round < 3; ++round) {
    for (const uint64_t size_bytes : {3000, 100, 30000}) {
      const std::vector<uint64_t> made = fill(size_bytes);
      EXPECT_GT(made.size(), 10u);
      if (size_bytes == 3000 && round == 0) first_time = made.size();
      if (size_bytes == 3000) {
        EXPECT_EQ(made.size(), first_time) << "nothing leaks";
      }
      // One freed, one made, in the next transaction.
      ASSERT_EQ(remove(made[made.size() / 2]), Status::kOk);
      uint64_t address = 0;
      EXPECT_EQ(make(size_bytes, &address), Status::kFull) << "it is free once it is committed";
      commit();
      ASSERT_EQ(make(size_bytes, &address), Status::kOk);
      abort();
      // A full memory has no room for a list of intents that goes on in blocks.
      int freed = 0;
      for (const uint64_t each : made) {
        if (each == made[made.size() / 2]) continue;
        ASSERT_EQ(remove(each), Status::kOk) << activation_->message();
        if (++freed % 100 == 0) commit();
      }
      commit();
    }
  }
}

TEST_F(AllocationTest, WhatIsFreedOrWasNeverMadeIsRefused) {
  uint64_t kept = 0, gone = 0, undone = 0, large = 0;
  ASSERT_EQ(make(100, &kept), Status::kOk);
  ASSERT_EQ(make(100, &gone), Status::kOk);
  ASSERT_EQ(make(20000, &large), Status::kOk);
  commit();
  ASSERT_EQ(make(100, &undone), Status::kOk);
  abort();
  ASSERT_EQ(remove(gone), Status::kOk);
  EXPECT_EQ(open(gone), Status::kFreed) << "in the same transaction";
  EXPECT_FALSE(activation_->active());
  EXPECT_EQ(open(gone), Status::kOk) << "which was aborted";
  ASSERT_EQ(transaction().free(gone), Status::kOk);
  ASSERT_EQ(remove(large), Status::kOk);
  commit();
  EXPECT_EQ(open(gone), Status::kFreed);
  EXPECT_EQ(open(undone), Status::kNotStable);
  EXPECT_EQ(open(large), Status::kNotStable) << "its run is gone";
  for (const uint64_t offset : {1, 8, 16, 50, 99}) {
    EXPECT_EQ(open(kept + offset), Status::kNotStable);
  }
  EXPECT_EQ(open(kept - 8), Status::kNotStable);
  char byte = 0;
  EXPECT_EQ(transaction().read(kept, 0, &byte, 1), Status::kNotOpen);
  EXPECT_EQ(transaction().write(kept, 0, &byte, 1), Status::kNotOpen);
  ASSERT_EQ(transaction().open(kept, OpenFor::kReading, Wait::none()), Status::kOk);
  EXPECT_EQ(transaction().write(kept, 0, &byte, 1), Status::kNotOpen) << "for reading only";
  ASSERT_EQ(open(kept), Status::kOk);
  ASSERT_EQ(transaction().close(kept), Status::kOk);
  EXPECT_EQ(transaction().read(kept, 0, &byte, 1), Status::kNotOpen);
}

TEST_F(AllocationTest, AddressesAtRandomAreRefusedAndNothingElseHappens) {
  std::mt19937_64 random(test_seed());
  std::map<uint64_t, uint64_t> made;
  for (int count = 0; count < 200; ++count) {
    const uint64_t size_bytes = 1 + random() % (count % 20 == 0 ? 20000 : 600);
    uint64_t address = 0;
    ASSERT_EQ(make(size_bytes, &address), Status::kOk);
    made[address] = size_bytes;
  }
  commit();
  uint64_t begun = 0;
  for (int count = 0; count < 300'000; ++count) {
    uint64_t address = random();
    switch (count % 4) {
      case 0:
        address %= memory_.bank_bytes();
        break;
      case 1:
        address = address % memory_.bank_bytes() & ~7ull;
        break;
      case 2: {  // near an object
        const auto near = std::next(made.begin(), static_cast<long>(address % made.size()));
        address = near->first + (random() % 5 - 2) * (random() % 2 == 0 ? 16 : 1);
        break;
      }
      default:
        break;
    }
    if (count % 16 == 0) {  // nor does a transaction run on it
      if (activation_->active()) abort();
      if (activation_->use_descriptor(address) == Status::kOk) {
        ASSERT_NE(activation_->begin(), Status::kOk) << address;
      }
      ASSERT_EQ(activation_->use_descriptor(0), Status::kOk);
    }
    const Status status = count % 8 == 0 ? transaction().free(address) : open(address);
    if (made.contains(address)) {
      begun += status == Status::kOk;
    } else {
      ASSERT_NE(status, Status::kOk) << address;
    }
    if (activation_->active() && random() % 64 == 0) abort();
  }
  EXPECT_GT(begun, 1000u);
  if (activation_->active()) abort();
  EXPECT_EQ(memory_.board().statistics.repairs.load(), 0u);
  EXPECT_EQ(memory_.board().statistics.losses.load(), 0u);
}

TEST_F(AllocationTest, RandomAllocatingAndFreeingAgreesWithAModel) {
  std::mt19937_64 random(test_seed());
  std::map<uint64_t, std::string> model;
  const uint64_t rounds = environment_number("AUXIN_ROUNDS", 3000);
  for (uint64_t round = 0; round < rounds; ++round) {
    std::map<uint64_t, std::string> draft = model;
    for (uint64_t operations = 1 + random() % 6; operations > 0; --operations) {
      const bool grow = draft.size() < 20 || (random() % 100 < (round / 300 % 2 == 0 ? 70 : 30));
      if (grow) {
        const uint64_t size_bytes =
            1 + random() % (random() % 8 == 0 ? 40000 : random() % 2 == 0 ? 5000 : 200);
        uint64_t address = 0;
        const Status status = make(size_bytes, &address);
        ASSERT_TRUE(status == Status::kOk || status == Status::kFull) << activation_->message();
        if (status != Status::kOk) continue;
        ASSERT_FALSE(draft.contains(address));
        std::string bytes(size_bytes, static_cast<char>(random()));
        ASSERT_EQ(transaction().write(address, 0, bytes.data(), size_bytes), Status::kOk);
        draft[address] = std::move(bytes);
      } else {
        const auto chosen =
            std::next(draft.begin(), static_cast<long>(random() % draft.size()));
        std::string seen(chosen->second.size(), '\0');
        ASSERT_EQ(open(chosen->first), Status::kOk) << activation_->message();
        ASSERT_EQ(transaction().read(chosen->first, 0, seen.data(), seen.size()), Status::kOk);
        ASSERT_EQ(seen, chosen->second);
        ASSERT_EQ(transaction().free(chosen->first), Status::kOk);
        draft.erase(chosen);
      }
    }
    if (random() % 6 == 0) {
      if (activation_->active()) abort();
    } else if (activation_->active()) {
      commit();
      model = std::move(draft);
    }
  }
  uint64_t live = 0;
  PageTable(memory_).walk([&](uint64_t page, const PageHead& head) {
    if (static_cast<PageUse>(head.use) != PageUse::kObjects) return true;
    for (uint32_t slot = 0; slot < memory_.classes().slots(head.size_class); ++slot) {
      ObjectHeader header;
      const Place place = place_in_run(memory_, page, head, slot);
      EXPECT_EQ(sound_object(memory_, place, &header), Soundness::kSound);
      live += header.live() && header.kind() == ObjectKind::kUser;
    }
    return true;
  });
  EXPECT_EQ(live, model.size());
  for (const auto& [address, bytes] : model) {
    std::string seen(bytes.size(), '\0');
    ASSERT_EQ(open(address), Status::kOk);
    ASSERT_EQ(transaction().read(address, 0, seen.data(), seen.size()), Status::kOk);
    ASSERT_EQ(seen, bytes);
  }
  commit();
}

TEST(SmallestMemoryTest, ASmallestBankCanBeMadeAndUsed) {
  TestDirectory directory;
  CreateOptions options;
  options.bank_size_bytes = kMinBankBytes;
  const Result<bool> created = create_memory(directory.file("memory"), options);
  ASSERT_TRUE(created) << created.error();
  PhysicalMemory memory;
  ASSERT_TRUE(attach(memory, directory.file("memory")));
  std::unique_ptr<Activation> activation;
  ASSERT_EQ(Activation::make(memory, &activation), Status::kOk);
  ASSERT_EQ(activation->begin(), Status::kOk);
  uint64_t address = 0;
  for (uint64_t count = 0; count + 1 < kDescriptorIntents; ++count) {
    ASSERT_EQ(activation->allocate(20, ObjectKind::kUser, 0, &address), Status::kOk) << count;
  }
  EXPECT_EQ(activation->commit(), Status::kOk);
}

}  // namespace
}  // namespace auxin::stm
