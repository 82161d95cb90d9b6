// SPDX-License-Identifier: Apache-2.0
//
// A stream between two message servers: a Unix or TCP socket, whole frames, bounded waits.
//
// Thread safety: one user at a time; interrupt() by any thread.
#pragma once

#include <string>

#include "stmemu/entities/wire.h"

namespace auxin::stm {

// An open socket, closed when it goes.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket();
  int fd() const { return fd_; }

  // "unix:PATH" or "tcp:HOST:PORT". A stale Unix socket of a dead process is replaced.
  static Result<Socket> listen_at(const std::string& address);
  static Result<Socket> connect_to(const std::string& address);
  // Waits up to `timeout_ms`; a socket without fd if nobody came.
  Result<Socket> accept(int timeout_ms) const;

  Result<bool> send(const Frame& frame) const;
  // Waits up to `timeout_ms` for its first byte: false, nothing came; an error, also at the end of
  // the stream.
  Result<bool> receive(Frame* frame, int timeout_ms) const;

 private:
  Result<bool> read_all(void* to, uint64_t size_bytes) const;

  int fd_ = -1;
};

}  // namespace auxin::stm
