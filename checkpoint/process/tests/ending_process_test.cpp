// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/ending_process.h"
#include "tests/harness/kill_one.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <thread>

namespace auxin::checkpoint {
namespace {

constexpr size_t kMemoryBytes = 256 << 20;  // takes the kernel a while to take down

// A process of four threads with much memory.
class EndingProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    pid_ = fork();
    if (pid_ == 0) {
      void* memory = mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      memset(memory, 1, kMemoryBytes);
      for (int i = 0; i < 3; ++i) std::thread([] { for (;;) pause(); }).detach();
      write(ends[1], "r", 1);
      for (;;) pause();
    }
    char ready;
    ASSERT_EQ(read(ends[0], &ready, 1), 1);
    close(ends[0]);
    close(ends[1]);
    pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
    ASSERT_GE(pidfd_, 0);
  }

  void TearDown() override {
    kill_one(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    close(pidfd_);
  }

  bool is_gone() const {
    pollfd entry{pidfd_, POLLIN, 0};
    return poll(&entry, 1, 0) == 1;
  }

  int pid_ = 0, pidfd_ = -1;
};

TEST_F(EndingProcessTest, OneThatLivesDoesNotEnd) {
  EndingProcess process(pidfd_);
  for (int i = 0; i < 100; ++i) ASSERT_FALSE(process.only_ends());
}

TEST_F(EndingProcessTest, OneThatWasKilledEnds) {
  EndingProcess process(pidfd_);
  kill_one(pid_, SIGKILL);
  bool ends = false;
  while (!ends && !is_gone()) ends = process.only_ends();
  EXPECT_TRUE(ends || is_gone());
  process.keep_off_its_processors();
  cpu_set_t processors;
  ASSERT_EQ(sched_getaffinity(0, sizeof processors, &processors), 0);
  EXPECT_GT(CPU_COUNT(&processors), 0);
  memset(&processors, -1, sizeof processors);
  sched_setaffinity(0, sizeof processors, &processors);
}

TEST_F(EndingProcessTest, AStoppedOneDoesNotEnd) {
  kill_one(pid_, SIGSTOP);
  EndingProcess process(pidfd_);
  EXPECT_FALSE(process.only_ends());
}

TEST(EndingProcess, AnotherDescriptorStandsForNone) {
  EndingProcess process(0);
  EXPECT_FALSE(process.only_ends());
  EXPECT_FALSE(EndingProcess(-1).only_ends());
}

}  // namespace
}  // namespace auxin::checkpoint
