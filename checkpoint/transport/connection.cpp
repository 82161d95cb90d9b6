// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/transport/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "stmemu/file.h"

namespace auxin::checkpoint {
namespace {

Outcome broken(const std::string& what, int error) {
  return failure(AUXIN_CHECKPOINT_INPUT_OUTPUT, what + ": " + std::strerror(error));
}

Outcome silence() { return failure(AUXIN_CHECKPOINT_INPUT_OUTPUT, "the peer is silent"); }

int poll_one(int fd, short events, int wait_ms) {
  pollfd entry{fd, events, 0};
  timespec limit{wait_ms / 1000, (wait_ms % 1000) * 1'000'000L};
  long done;
  do {
    // The kernel counts the rest of the time down in `limit`.
    done = syscall(SYS_ppoll, &entry, 1, &limit, nullptr, 0);
  } while (done < 0 && errno == EINTR);
  return static_cast<int>(done);
}

Expected<int> make_socket(const Address& address) {
  const long fd = syscall(SYS_socket, address.socket.ss_family,
                          SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return broken(address.text + ": no socket can be had", errno);
  return static_cast<int>(fd);
}

long connect_to(int fd, const Address& address) {
  return syscall(SYS_connect, fd, &address.socket, address.socket_bytes);
}

// What a server that was killed left behind.
void remove_stale(const Address& address) {
  struct stat status;
  if (lstat(address.path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
  const Expected<int> probe = make_socket(address);
  if (!probe) return;
  stm::FileDescriptor file(*probe);
  if (connect_to(file.get(), address) != 0 && errno == ECONNREFUSED) {
    syscall(SYS_unlink, address.path.c_str());
  }
}

}  // namespace

Connection::Connection(int fd, int stall_ms) : fd_(fd), stall_ms_(stall_ms) {
  const int on = 1;  // of a Unix socket: refused, and not needed
  static_cast<void>(syscall(SYS_setsockopt, fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
  // The limits are the kernel's: a large read or write is then one call.
  const timeval limit{stall_ms / 1000, stall_ms % 1000 * 1000};
  syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  const long flags = syscall(SYS_fcntl, fd, F_GETFL);
  syscall(SYS_fcntl, fd, F_SETFL, flags & ~O_NONBLOCK);
}

Connection::~Connection() { syscall(SYS_close, fd_); }

Expected<int> Connection::connect(const Address& address, int stall_ms) {
  const Expected<int> made = make_socket(address);
  if (!made) return made.outcome();
  stm::FileDescriptor file(*made);
  if (connect_to(file.get(), address) != 0) {
    if (errno != EINPROGRESS) return broken(address.text + ": can't be reached", errno);
    if (poll_one(file.get(), POLLOUT, stall_ms) <= 0) {
      return failure(AUXIN_CHECKPOINT_INPUT_OUTPUT, address.text + ": no answer");
    }
    int error = 0;
    socklen_t bytes = sizeof(error);
    syscall(SYS_getsockopt, file.get(), SOL_SOCKET, SO_ERROR, &error, &bytes);
    if (error != 0) return broken(address.text + ": can't be reached", error);
  }
  return file.release();
}

int Connection::wait_readable(int wait_ms) {
  pollfd entry{fd_, POLLIN | POLLRDHUP, 0};
  timespec limit{wait_ms / 1000, (wait_ms % 1000) * 1'000'000L};
  const long done = syscall(SYS_ppoll, &entry, 1, &limit, nullptr, 0);
  if (done < 0) return errno == EINTR ? 0 : -1;
  if (done == 0) return 0;
  return (entry.revents & (POLLERR | POLLHUP | POLLRDHUP | POLLNVAL)) != 0 ? -1 : 1;
}

Outcome Connection::read(void* to, uint64_t size_bytes, int wait_ms) {
  uint8_t* at = static_cast<uint8_t*>(to);
  uint64_t left = size_bytes;
  if (wait_ms != stall_ms_ && poll_one(fd_, POLLIN, wait_ms) <= 0) return silence();
  while (left != 0) {
    const long got = syscall(SYS_recvfrom, fd_, at, left, MSG_WAITALL, nullptr, nullptr);
    if (got > 0) {
      at += got;
      left -= static_cast<uint64_t>(got);
      continue;
    }
    if (got == 0) {
      return failure(left == size_bytes ? AUXIN_CHECKPOINT_EMPTY : AUXIN_CHECKPOINT_INPUT_OUTPUT,
                     "the peer closed the connection");
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return silence();
    return broken("a connection broke", errno);
  }
  return Outcome::ok();
}

Outcome Connection::write(iovec* parts, int count) {
  while (count != 0) {
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = static_cast<size_t>(count);
    const long put = syscall(SYS_sendmsg, fd_, &message, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) {
      return failure(AUXIN_CHECKPOINT_INPUT_OUTPUT, "the peer takes nothing more");
    }
    if (put < 0) return broken("a connection broke", errno);
    uint64_t done = static_cast<uint64_t>(put);
    while (count != 0 && done >= parts->iov_len) {
      done -= parts->iov_len;
      ++parts;
      --count;
    }
    if (count != 0) {
      parts->iov_base = static_cast<uint8_t*>(parts->iov_base) + done;
      parts->iov_len -= done;
    }
  }
  return Outcome::ok();
}

void Connection::interrupt() { syscall(SYS_shutdown, fd_, SHUT_RDWR); }

Expected<int> listen_at(const Address& address) {
  if (address.is_unix()) remove_stale(address);
  const Expected<int> made = make_socket(address);
  if (!made) return made.outcome();
  stm::FileDescriptor file(*made);
  const int on = 1;
  syscall(SYS_setsockopt, file.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  // A socket's file has the descriptor's mode: nobody else may connect at any moment.
  if (address.is_unix() && fchmod(file.get(), 0600) != 0) {
    return broken(address.text + ": no mode can be given to it", errno);
  }
  if (syscall(SYS_bind, file.get(), &address.socket, address.socket_bytes) != 0) {
    if (errno == EADDRINUSE) {
      return failure(AUXIN_CHECKPOINT_BUSY, address.text + ": is in use");
    }
    return broken(address.text + ": can't be bound", errno);
  }
  constexpr int kBacklog = 64;
  if (syscall(SYS_listen, file.get(), kBacklog) != 0) {
    return broken(address.text + ": can't be listened to", errno);
  }
  return file.release();
}

int64_t peer_user(int fd) {
  ucred peer{};
  socklen_t bytes = sizeof(peer);
  if (syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0) return -1;
  return peer.uid;
}

}  // namespace auxin::checkpoint
