// SPDX-License-Identifier: Apache-2.0
//
// A stream between two processes on which no wait is without limit: each call ends when no byte has
// moved for `stall_ms`. System calls are made directly: the process may be a server whose sockets
// are hooked.
//
// Thread safety: one reader and one writer; interrupt() by any thread.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <string>

#include "checkpoint/outcome.h"
#include "checkpoint/transport/address.h"

namespace auxin::checkpoint {

class Connection {
 public:
  // Takes the descriptor.
  Connection(int fd, int stall_ms);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // kInputOutput: nobody listens, or not within stall_ms. The descriptor, for a Connection.
  static Expected<int> connect(const Address& address, int stall_ms);

  // kInputOutput: the peer is gone, or silent for `wait_ms` before the first byte, or for stall_ms
  // before a later one; kEmpty: the peer closed before the first byte.
  Outcome read(void* to, uint64_t size_bytes, int wait_ms);
  Outcome read(void* to, uint64_t size_bytes) { return read(to, size_bytes, stall_ms_); }
  // All parts; they are changed on the way.
  Outcome write(iovec* parts, int count);

  // Whoever waits here returns, and nothing more moves.
  void interrupt();
  // 1: something can be read, 0: not within the time, -1: never again.
  int wait_readable(int wait_ms);
  int fd() const { return fd_; }
  int stall_ms() const { return stall_ms_; }

 private:
  const int fd_, stall_ms_;
};

// A socket that others connect to. A Unix socket has mode 0600; what an earlier server left under
// its name, to which nobody listens any more, is replaced. kInputOutput; kBusy: somebody listens.
Expected<int> listen_at(const Address& address);
// The user of the process at the other end of a Unix socket; -1: unknown.
int64_t peer_user(int fd);

}  // namespace auxin::checkpoint
