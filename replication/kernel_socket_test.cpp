// SPDX-License-Identifier: Apache-2.0
//
// The kernel's byte counts of a connection against what was really sent and read, over loopback.
#include "replication/kernel_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <vector>

#include "stmemu/test_memory.h"
#include "tests/harness/kill_one.h"

namespace auxin::replication {
namespace {

// One side of a connection, and what this test has moved through it.
struct End {
  int fd = -1;
  bool opened_here = false;
  bool write_shut = false;
  uint64_t read = 0, written = 0;

  KernelCounts counts() const { return kernel_counts(fd, opened_here, write_shut); }

  void send_some(size_t size_bytes) {
    const std::vector<char> bytes(size_bytes);
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) written += static_cast<uint64_t>(sent);
  }
  void read_some(size_t size_bytes, int flags = MSG_DONTWAIT) {
    std::vector<char> bytes(size_bytes);
    const ssize_t got = recv(fd, bytes.data(), bytes.size(), flags);
    if (got > 0) read += static_cast<uint64_t>(got);
  }
  void end_sending() {
    ASSERT_EQ(shutdown(fd, SHUT_WR), 0);
    write_shut = true;
  }
  void await(short events) const {
    pollfd wanted{fd, events, 0};
    ASSERT_EQ(::poll(&wanted, 1, -1), 1);
  }
  void expect_counted() const {
    const KernelCounts seen = counts();
    ASSERT_TRUE(seen.known);
    EXPECT_EQ(seen.consumed, read);
    EXPECT_EQ(seen.handed_over, written);
  }
};

class KernelCountsTest : public testing::Test {
 protected:
  KernelCountsTest() {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    client_.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    client_.opened_here = true;
    if (bind(listener, generic, length) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, generic, &length) != 0 || connect(client_.fd, generic, length) != 0)
      std::abort();
    server_.fd = accept(listener, nullptr, nullptr);
    close(listener);
    if (server_.fd < 0) std::abort();
  }
  ~KernelCountsTest() override {
    close(client_.fd);
    close(server_.fd);
  }
  void expect_both_counted() {
    client_.expect_counted();
    server_.expect_counted();
  }

  End client_, server_;
};

TEST_F(KernelCountsTest, ANewConnectionHasMovedNothing) {
  expect_both_counted();
  EXPECT_FALSE(client_.counts().dead);
  EXPECT_FALSE(server_.counts().dead);
}

TEST_F(KernelCountsTest, UnreadAndUnacknowledgedBytesAreCountedAtEveryStep) {
  std::mt19937_64 random(stm::test_seed());
  for (int step = 0; step < 2000; ++step) {
    End& end = random() % 2 == 0 ? client_ : server_;
    const size_t size_bytes = size_t{1} << random() % 18;  // up to more than the buffers hold
    if (random() % 2 == 0) {
      end.send_some(size_bytes);
    } else {
      end.read_some(size_bytes);
    }
    expect_both_counted();
    if (HasFailure()) break;
  }
  EXPECT_GT(client_.read, 0u);
  EXPECT_GT(server_.read, 0u);
}

TEST_F(KernelCountsTest, BytesThatWereOnlyLookedAtAreNotConsumed) {
  client_.send_some(100);
  server_.await(POLLIN);
  std::vector<char> bytes(100);
  EXPECT_EQ(recv(server_.fd, bytes.data(), 60, MSG_PEEK), 60);
  expect_both_counted();
}

TEST_F(KernelCountsTest, AnEndOfSendingIsNoByte) {
  for (End* first : {&client_, &server_}) {
    End* second = first == &client_ ? &server_ : &client_;
    first->send_some(100);
    first->end_sending();
    second->await(POLLRDHUP);
    expect_both_counted();
    EXPECT_EQ(second->counts().dead, second->write_shut) << "until both have ended";
    second->read_some(40);
    expect_both_counted();
    second->read_some(100);
    second->read_some(1, 0);  // the end of file itself
    expect_both_counted();
  }
}

TEST_F(KernelCountsTest, AnEndThatTheOtherSideHasNotHeardOfIsNoByteEither) {
  // With its window full the other side can't even get the end.
  while (true) {
    const uint64_t before = client_.written;
    client_.send_some(1 << 20);
    if (client_.written == before) break;
  }
  client_.end_sending();
  client_.expect_counted();
  server_.expect_counted();
  while (server_.read < client_.written) server_.read_some(1 << 20, 0);
  server_.await(POLLRDHUP);
  expect_both_counted();
}

TEST_F(KernelCountsTest, AResetConnectionIsDead) {
  const linger at_once{1, 0};
  setsockopt(client_.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(client_.fd);
  client_.fd = -1;
  server_.await(POLLHUP);
  const KernelCounts counts = server_.counts();
  EXPECT_TRUE(counts.known);
  EXPECT_TRUE(counts.dead);
}

TEST(KernelCounts, OfWhatIsNoTcpSocketAreUnknown) {
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  EXPECT_FALSE(kernel_counts(pair[0], false, false).known);
  close(pair[0]);
  close(pair[1]);
  EXPECT_FALSE(kernel_counts(-1, false, false).known);
}

TEST_F(KernelCountsTest, ASocketHasOneCookieWhateverItsDescriptor) {
  const int duplicate = dup(client_.fd);
  EXPECT_NE(socket_cookie(client_.fd), 0u);
  EXPECT_EQ(socket_cookie(duplicate), socket_cookie(client_.fd));
  EXPECT_NE(socket_cookie(server_.fd), socket_cookie(client_.fd));
  close(duplicate);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_EQ(socket_cookie(ends[0]), 0u);
  close(ends[0]);
  close(ends[1]);
}

TEST_F(KernelCountsTest, AnotherProcessesDescriptorComesOverWithItsCounts) {
  server_.send_some(500);
  const int only_there = 700;
  const pid_t child = stm::in_child([this] {
    dup2(client_.fd, only_there);
    close(client_.fd);
    char bytes[200];
    if (recv(only_there, bytes, sizeof bytes, MSG_WAITALL) != sizeof bytes) return 1;
    for (;;) pause();
  });
  const uint64_t cookie = socket_cookie(client_.fd);
  close(client_.fd);
  int copy;
  while ((copy = fetch_descriptor(child, only_there)) == -EBADF) sched_yield();
  ASSERT_GE(copy, 0);
  client_.fd = copy;
  client_.read = 200;
  EXPECT_EQ(socket_cookie(copy), cookie);
  EXPECT_NE(fcntl(copy, F_GETFD) & FD_CLOEXEC, 0);
  while (client_.counts().consumed == 0) sched_yield();
  EXPECT_EQ(fetch_descriptor(child, only_there + 1), -EBADF);
  kill_one(child, SIGKILL);
  EXPECT_EQ(stm::end_of(child), -SIGKILL);
  expect_both_counted();  // the socket has outlived its process
  EXPECT_EQ(fetch_descriptor(child, only_there), -ESRCH);
}

}  // namespace
}  // namespace auxin::replication
