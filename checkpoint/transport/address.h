// SPDX-License-Identifier: Apache-2.0
//
// Where a checkpoint server listens: "unix:PATH" or "tcp:HOST:PORT". HOST is an IPv4 address, an
// IPv6 address in brackets, or localhost: no name service is asked, whose waits have no limit.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <string>

#include "checkpoint/outcome.h"

namespace auxin::checkpoint {

struct Address {
  std::string text;  // as it was given
  std::string path;  // of a Unix socket; empty: TCP
  sockaddr_storage socket{};
  socklen_t socket_bytes = 0;

  bool is_unix() const { return !path.empty(); }
  // Nobody on another host can reach it.
  bool is_local() const;

  // kWrongCall, with a sentence that says what an address looks like.
  static Expected<Address> parse(const std::string& text);
};

// What a socket is bound to, as text: of TCP, with the port that the kernel chose for port 0.
std::string bound_address(int fd, const Address& asked);

}  // namespace auxin::checkpoint
