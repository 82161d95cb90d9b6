// SPDX-License-Identifier: Apache-2.0
#include "replication/kernel_socket.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "replication/futex.h"

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

namespace auxin::replication {
namespace {

constexpr int kTries = 64;

// The kernel's states (include/net/tcp_states.h).
enum : uint8_t { kClosed = 7, kCloseWait = 8, kLastAck = 9, kClosing = 11 };

bool read_info(int fd, tcp_info* info) {
  memset(info, 0, sizeof *info);
  uint32_t length = sizeof *info;
  const long result = raw_syscall(SYS_getsockopt, fd, IPPROTO_TCP, TCP_INFO,
                                  reinterpret_cast<long>(info), reinterpret_cast<long>(&length));
  return result == 0 && length >= 136;  // up to and including tcpi_bytes_received
}

bool read_queue(int fd, unsigned long request, int* size) {
  return raw_syscall(SYS_ioctl, fd, static_cast<long>(request), reinterpret_cast<long>(size)) == 0;
}

}  // namespace

KernelCounts kernel_counts(int fd, bool opened_here, bool write_shut) {
  KernelCounts counts{};
  for (int tries = 0; tries < kTries; ++tries) {
    tcp_info before, after;
    int in_queue = 0, out_queue = 0;
    if (!read_info(fd, &before) || !read_queue(fd, SIOCINQ, &in_queue) ||
        !read_queue(fd, SIOCOUTQ, &out_queue) || !read_info(fd, &after))
      return counts;
    if (before.tcpi_bytes_received != after.tcpi_bytes_received ||
        before.tcpi_bytes_acked != after.tcpi_bytes_acked ||
        before.tcpi_state != after.tcpi_state)
      continue;
    const bool fin_received = after.tcpi_state == kCloseWait || after.tcpi_state == kLastAck ||
                              after.tcpi_state == kClosing || after.tcpi_state == kClosed;
    counts.known = true;
    counts.dead = after.tcpi_state == kClosed;
    const uint64_t received = after.tcpi_bytes_received - (fin_received ? 1 : 0);
    counts.consumed = received - static_cast<uint64_t>(in_queue);
    counts.handed_over = after.tcpi_bytes_acked + static_cast<uint64_t>(out_queue) -
                         (opened_here ? 1 : 0) - (write_shut ? 1 : 0);
    return counts;
  }
  return counts;
}

uint64_t socket_cookie(int fd) {
  uint64_t cookie = 0;
  uint32_t length = sizeof cookie;
  const long result = raw_syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_COOKIE,
                                  reinterpret_cast<long>(&cookie), reinterpret_cast<long>(&length));
  return result == 0 ? cookie : 0;
}

int fetch_descriptor(int pid, int fd) {
  const long pidfd = raw_syscall(SYS_pidfd_open, pid, 0);
  if (pidfd < 0) return static_cast<int>(pidfd);
  const long copy = raw_syscall(SYS_pidfd_getfd, pidfd, fd, 0);
  raw_syscall(SYS_close, pidfd);
  return static_cast<int>(copy);
}

}  // namespace auxin::replication
