// SPDX-License-Identifier: Apache-2.0
//
// The size of a message's vectors together, in bytes.
#pragma once

#include <sys/socket.h>

#include <cstddef>

namespace auxin::replication {

inline size_t total_size(const msghdr* message) {
  size_t size = 0;
  for (size_t i = 0; i < message->msg_iovlen; ++i) size += message->msg_iov[i].iov_len;
  return size;
}

}  // namespace auxin::replication
