// SPDX-License-Identifier: Apache-2.0
//
// One connection: what has been read of a message, and the lock under which replies are written.
//
// Thread safety: read() is the poller's alone; the rest any thread's.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "ferry/lock.h"
#include "ferry/wire.h"

namespace ferry {

class Connection;

struct Request {
  std::shared_ptr<Connection> connection;
  uint32_t id;
  bool one_way;
  std::string key, operation, arguments;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(int fd) : fd_(fd) {}
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Reads what is there and gives away each whole request. False: the peer has gone, or sent what
  // is no message.
  bool read(const std::function<void(Request)>& take);
  void reply(uint32_t id, uint8_t status, const std::string& body);

  int fd() const { return fd_; }
  // Beats since something was read.
  uint32_t idle_beats() const { return idle_beats_.load(); }
  void beat() { idle_beats_.fetch_add(1); }

 private:
  bool take_messages(const std::function<void(Request)>& take);

  const int fd_;  // not blocking
  Lock writing_;
  std::string unread_;
  std::atomic<uint32_t> idle_beats_{0};
};

}  // namespace ferry
