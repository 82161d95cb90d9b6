// SPDX-License-Identifier: Apache-2.0
//
// Goal: damage to both copies of the boot descriptor, in which the other descriptors are made,
// stops nobody and is not silent: threads of a memory in use go on, whoever attaches is told of it.
// Method: both copies overwritten, at rest and under an attached memory, the lock free or a dead
// thread's.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "stmemu/test_memory.h"
#include "stmemu/transaction/activation.h"
#include "stmemu/transaction/descriptor.h"
#include "stmemu/transaction/recovery.h"
#include "stmemu/transaction/survey.h"

namespace auxin::stm {
namespace {

class BootDescriptorTest : public testing::TestWithParam<uint64_t> {
 protected:
  BootDescriptorTest() {
    CreateOptions options;
    options.bank_size_bytes = kBankBytes;
    const Result<bool> created = create_memory(path_, options);
    EXPECT_TRUE(created) << created.error();
  }
  // The first bytes of both copies, by way of the file.
  void damage() const {
    const std::string garbage(GetParam(), '\x5a');
    const int file = open(path_.c_str(), O_RDWR | O_CLOEXEC);
    for (const uint64_t bank : {uint64_t{0}, kBankBytes}) {
      EXPECT_EQ(pwrite(file, garbage.data(), garbage.size(),
                       static_cast<off_t>(bank + kBootDescriptorOffset)),
                static_cast<ssize_t>(garbage.size()));
    }
    close(file);
  }
  // In a thread of its own, which needs a descriptor that has to be made.
  static Status make_object(PhysicalMemory& memory) {
    std::unique_ptr<Activation> activation;
    Status status = Activation::make(memory, &activation);
    if (status == Status::kOk) status = activation->begin();
    uint64_t address = 0;
    if (status == Status::kOk) {
      status = activation->allocate(64, ObjectKind::kUser, 0, &address);
    }
    if (status == Status::kOk) status = activation->commit();
    return status;
  }
  static bool names_it(const std::vector<std::string>& sentences, const std::string& verdict) {
    for (const std::string& sentence : sentences) {
      if (sentence.find("transaction descriptor 4096") != std::string::npos &&
          sentence.find(verdict) != std::string::npos) {
        return true;
      }
    }
    return false;
  }
  Survey look() {
    PhysicalMemory memory;
    EXPECT_TRUE(memory.map(path_, PhysicalMemory::Access::kRead));
    return survey(memory);
  }

  static constexpr uint64_t kBankBytes = 256 * kPageBytes;
  TestDirectory directory_;
  std::string path_ = directory_.file("memory");
};

TEST_P(BootDescriptorTest, WhoeverAttachesIsToldAndGoesOn) {
  damage();
  const Survey seen = look();
  EXPECT_EQ(seen.lost, 1u);
  EXPECT_TRUE(names_it(seen.damage, "both copies"));
  PhysicalMemory memory;
  Result<Findings> attached = attach(memory, path_);
  ASSERT_TRUE(attached) << attached.error();
  EXPECT_EQ(attached->lost, 1u);
  EXPECT_TRUE(names_it(attached->details, "lost"));
  EXPECT_EQ(make_object(memory), Status::kOk);
}

TEST_P(BootDescriptorTest, AThreadOfAMemoryInUseGoesOn) {
  PhysicalMemory memory;
  ASSERT_TRUE(attach(memory, path_));
  std::unique_ptr<Activation> first;
  ASSERT_EQ(Activation::make(memory, &first), Status::kOk);
  damage();
  EXPECT_TRUE(names_it(look().damage, "both copies"));
  EXPECT_EQ(make_object(memory), Status::kOk);
  EXPECT_EQ(memory.board().statistics.repairs.load(), 1u);
  EXPECT_EQ(memory.board().statistics.losses.load(), 0u) << "nothing was in flight on it";
  const Survey seen = look();
  EXPECT_EQ(seen.damaged + seen.lost, 0u);
  EXPECT_EQ(seen.objects, 1u);
}

// A thread that died in a transaction on it, with the lock.
TEST_P(BootDescriptorTest, AfterADeathOnItALossIsCounted) {
  PhysicalMemory memory;
  ASSERT_TRUE(attach(memory, path_));
  std::unique_ptr<Activation> first;
  ASSERT_EQ(Activation::make(memory, &first), Status::kOk);
  std::thread([&] {
    Findings findings;
    recover_boot_descriptor(memory, &findings);
  }).join();
  damage();
  EXPECT_EQ(make_object(memory), Status::kOk);
  EXPECT_EQ(memory.board().statistics.losses.load(), 1u);
  const Survey seen = look();
  EXPECT_EQ(seen.damaged + seen.lost, 0u);
}

INSTANTIATE_TEST_SUITE_P(Bytes, BootDescriptorTest,
                         testing::Values(8, kIntentsOffset, kDescriptorBytes, kPageBytes));

}  // namespace
}  // namespace auxin::stm
