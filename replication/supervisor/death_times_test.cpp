// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/death_times.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vector>

namespace auxin::supervisor {
namespace {

uint64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

void* return_at_once(void*) { return nullptr; }

// A child whose second thread has come and gone before the pipe tells so.
int child_with_threads() {
  int told[2];
  EXPECT_EQ(pipe(told), 0);
  const int pid = fork();
  if (pid == 0) {
    char go;
    (void)!read(told[0], &go, 1);
    pthread_t thread;
    pthread_create(&thread, nullptr, return_at_once, nullptr);
    pthread_join(thread, nullptr);
    for (;;) pause();
  }
  EXPECT_EQ(write(told[1], "g", 1), 1);
  close(told[0]);
  close(told[1]);
  return pid;
}

uint64_t await_death(DeathTimes& times, int pid) {
  for (int look = 0; look < 100 && times.of(pid) == 0; ++look) {
    pollfd entry{times.descriptor(), POLLIN, 0};
    poll(&entry, 1, 50);
    times.read();
  }
  return times.of(pid);
}

class DeathTimesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (times_.descriptor() < 0) GTEST_SKIP() << "the kernel tells its process events to root only";
  }
  DeathTimes times_;
};

TEST_F(DeathTimesTest, LiesBetweenTheKillAndItsNotice) {
  const int other = child_with_threads(), watched = child_with_threads();
  times_.watch({watched});
  usleep(50'000);  // the thread's own end is not taken for the process's
  times_.read();
  EXPECT_EQ(times_.of(watched), 0u);
  const uint64_t before_ns = now_ns();
  kill(other, SIGKILL);
  kill(watched, SIGKILL);
  const uint64_t died_ns = await_death(times_, watched);
  EXPECT_GE(died_ns, before_ns);
  EXPECT_LE(died_ns, now_ns());
  EXPECT_EQ(times_.of(other), 0u) << "nobody asked for it";
  waitpid(other, nullptr, 0);
  waitpid(watched, nullptr, 0);
}

TEST_F(DeathTimesTest, FollowsAChangeOfWhoIsWatched) {
  std::vector<int> pids;
  for (int i = 0; i < 8; ++i) pids.push_back(child_with_threads());
  times_.watch({1, 2, 3});
  times_.watch(pids);
  for (const int pid : pids) kill(pid, SIGKILL);
  for (const int pid : pids) {
    EXPECT_NE(await_death(times_, pid), 0u) << pid;
    waitpid(pid, nullptr, 0);
  }
}

}  // namespace
}  // namespace auxin::supervisor
