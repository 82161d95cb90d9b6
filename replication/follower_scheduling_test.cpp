// SPDX-License-Identifier: Apache-2.0
//
// Where a follower runs, what it says when it asks, and where its children run.
#include "replication/follower_scheduling.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "replication/futex.h"
#include "replication/test_group.h"

namespace auxin::replication {
namespace {

cpu_set_t processors_now() {
  cpu_set_t cpus{};
  EXPECT_GT(raw_syscall(SYS_sched_getaffinity, 0, sizeof cpus, reinterpret_cast<long>(&cpus)), 0);
  return cpus;
}

cpu_set_t processors_told() {
  cpu_set_t cpus = processors_now();
  show_processors_as_started(sizeof cpus, &cpus);
  return cpus;
}

class FollowerScheduling : public ::testing::Test {
 protected:
  void SetUp() override {
    if (CPU_COUNT(&started_) < 2) GTEST_SKIP() << "one processor";
    group_.control().settings.follower_one_cpu = 1;
  }
  TestGroup group_;
  const cpu_set_t started_ = processors_now();
};

TEST_F(FollowerScheduling, KeepsToOneProcessorAndTellsThoseItWasStartedWith) {
  EXPECT_EQ(group_.run_follower(1, [this] {
    schedule_as_follower();
    const cpu_set_t one = processors_now(), told = processors_told();
    EXPECT_EQ(CPU_COUNT(&one), 1);
    EXPECT_TRUE(CPU_EQUAL(&told, &started_));
    cpu_set_t* const small = CPU_ALLOC(64);
    memcpy(small, &one, CPU_ALLOC_SIZE(64));
    show_processors_as_started(CPU_ALLOC_SIZE(64), small);
    EXPECT_EQ(CPU_COUNT_S(CPU_ALLOC_SIZE(64), small), CPU_COUNT(&started_));
    CPU_FREE(small);
    schedule_as_leader();
    const cpu_set_t after = processors_now();
    EXPECT_TRUE(CPU_EQUAL(&after, &started_));
  }), 0);
}

TEST_F(FollowerScheduling, LeavesAThreadWhereTheServerPutsIt) {
  EXPECT_EQ(group_.run_follower(1, [this] {
    schedule_as_follower();
    const cpu_set_t followers = processors_now();
    cpu_set_t other = started_;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &followers)) CPU_CLR(cpu, &other);
    EXPECT_EQ(sched_setaffinity(0, sizeof other, &other), 0);
    const cpu_set_t told = processors_told();
    EXPECT_TRUE(CPU_EQUAL(&told, &other));
    schedule_as_leader();
    const cpu_set_t after = processors_now();
    EXPECT_TRUE(CPU_EQUAL(&after, &other));
  }), 0);
}

TEST_F(FollowerScheduling, AChildRunsAsTheServerWasStarted) {
  EXPECT_EQ(group_.run_follower(1, [this] {
    schedule_as_follower();
    const pid_t child = fork();
    if (child == 0) {
      schedule_as_child();
      const cpu_set_t cpus = processors_now();
      _exit(CPU_EQUAL(&cpus, &started_) && sched_getscheduler(0) == SCHED_OTHER ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }), 0);
}

TEST_F(FollowerScheduling, SaysNothingOfItsOwnWhereItHasNotMovedAnything) {
  EXPECT_EQ(group_.run_leader(0, [] {
    cpu_set_t cpus{};
    show_processors_as_started(sizeof cpus, &cpus);
    EXPECT_EQ(CPU_COUNT(&cpus), 0);
  }), 0);
}

}  // namespace
}  // namespace auxin::replication
