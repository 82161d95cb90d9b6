// SPDX-License-Identifier: Apache-2.0
//
// Goal: a select that goes through poll answers as the kernel's select. Method: random sets of
// pipes and sockets in random states, both ways, compared.
#include "libmeta_os/select_sets.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <vector>

namespace auxin::os {
namespace {

struct Sets {
  fd_set read_set, write_set, except_set;
};

bool is_closed(int fd) { return fcntl(fd, F_GETFD) < 0; }

int select_by_poll(int count, Sets& sets) {
  const SelectSets view{count, &sets.read_set, &sets.write_set, &sets.except_set};
  std::vector<pollfd> fds(view.wanted_count());
  view.to_poll(fds.data());
  if (poll(fds.data(), fds.size(), 0) < 0) return -1;
  return view.from_poll(fds.data(), fds.size());
}

TEST(SelectSets, AnswerAsTheKernel) {
  const char* const given = getenv("AUXIN_SEED");
  const unsigned seed = given != nullptr ? strtoul(given, nullptr, 10) : std::random_device{}();
  std::printf("AUXIN_SEED=%u\n", seed);
  std::mt19937 random(seed);
  std::vector<int> open_fds;
  int top = 0;
  for (int i = 0; i < 12; ++i) {
    int pair[2];
    const bool is_pipe = random() % 2 == 0;
    ASSERT_EQ(is_pipe ? pipe(pair) : socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    if (random() % 2 == 0) {
      ASSERT_EQ(write(pair[1], "x", 1), 1);
    }
    const bool close_one = random() % 4 == 0;
    if (close_one) close(pair[random() % 2]);
    for (const int fd : pair) open_fds.push_back(fd);
    top = std::max({top, pair[0], pair[1]});
  }
  for (int round = 0; round < 2000; ++round) {
    Sets by_kernel;
    memset(&by_kernel, 0, sizeof(by_kernel));
    for (const int fd : open_fds) {
      if (random() % 8 != 0 && is_closed(fd)) continue;
      if (random() % 2 == 0) FD_SET(fd, &by_kernel.read_set);
      if (random() % 2 == 0) FD_SET(fd, &by_kernel.write_set);
      if (random() % 2 == 0) FD_SET(fd, &by_kernel.except_set);
    }
    const int count = static_cast<int>(random() % (static_cast<unsigned>(top) + 2));
    Sets by_poll = by_kernel;
    timeval none{};
    errno = 0;
    const int expected =
        select(count, &by_kernel.read_set, &by_kernel.write_set, &by_kernel.except_set, &none);
    const int expected_errno = errno;
    errno = 0;
    ASSERT_EQ(select_by_poll(count, by_poll), expected) << "round " << round;
    ASSERT_EQ(errno, expected_errno);
    for (int fd = 0; fd < count; ++fd) {
      ASSERT_EQ(FD_ISSET(fd, &by_poll.read_set), FD_ISSET(fd, &by_kernel.read_set)) << fd;
      ASSERT_EQ(FD_ISSET(fd, &by_poll.write_set), FD_ISSET(fd, &by_kernel.write_set)) << fd;
      ASSERT_EQ(FD_ISSET(fd, &by_poll.except_set), FD_ISSET(fd, &by_kernel.except_set)) << fd;
    }
  }
  for (const int fd : open_fds) close(fd);
}

TEST(SelectSets, RemainingTimeNeverGrowsAndEndsAtZero) {
  const RemainingTime an_hour(timeval{3600, 1'500'000});  // the kernel takes such microseconds, too
  timeval left{};
  an_hour.store(&left);
  EXPECT_TRUE(left.tv_sec == 3601 || left.tv_sec == 3600);
  EXPECT_LT(left.tv_usec, 1'000'000);
  const RemainingTime nothing(timeval{0, 0});
  nothing.store(&left);
  EXPECT_EQ(left.tv_sec, 0);
  EXPECT_EQ(left.tv_usec, 0);
}

}  // namespace
}  // namespace auxin::os
