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

#include "stmemu/test_memory.h"
#include "tests/harness/kill_one.h"

namespace auxin::supervisor {
namespace {

uint64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

void* return_at_once(void*) { return nullptr; }

// A child that waits to be killed. After `known` was told its pid it has started threads, one after
// the other, and they have ended when this returns.
template <typename Known>
pid_t child_with_threads(Known known) {
  int start[2], ended[2];
  EXPECT_EQ(pipe(start), 0);
  EXPECT_EQ(pipe(ended), 0);
  const pid_t pid = stm::in_child([&] {
    char byte;
    close(start[1]);
    (void)!read(start[0], &byte, 1);
    for (int i = 0; i < 16; ++i) {
      pthread_t thread;
      if (pthread_create(&thread, nullptr, return_at_once, nullptr) == 0)
        pthread_join(thread, nullptr);
    }
    close(ended[1]);
    for (;;) pause();
    return 0;
  });
  known(pid);
  char byte;
  close(start[1]);
  close(ended[1]);
  EXPECT_EQ(read(ended[0], &byte, 1), 0);
  close(start[0]);
  close(ended[0]);
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
  const auto watch = [this](pid_t pid) { times_.watch({pid}); };
  const pid_t other = child_with_threads([](pid_t) {}), watched = child_with_threads(watch);
  const uint64_t before_ns = now_ns();
  kill_one(other, SIGKILL);
  kill_one(watched, SIGKILL);
  const uint64_t died_ns = await_death(times_, watched);
  EXPECT_GE(died_ns, before_ns) << "the end of one of its threads is not its own";
  EXPECT_LE(died_ns, now_ns());
  EXPECT_EQ(times_.of(other), 0u) << "nobody asked for it";
  waitpid(other, nullptr, 0);
  waitpid(watched, nullptr, 0);
}

TEST_F(DeathTimesTest, FollowsAChangeOfWhoIsWatched) {
  std::vector<int> pids;
  for (int i = 0; i < 8; ++i) pids.push_back(child_with_threads([](pid_t) {}));
  times_.watch({1, 2, 3});
  times_.watch(pids);
  for (const int pid : pids) kill_one(pid, SIGKILL);
  for (const int pid : pids) {
    EXPECT_NE(await_death(times_, pid), 0u) << pid;
    waitpid(pid, nullptr, 0);
  }
}

}  // namespace
}  // namespace auxin::supervisor
