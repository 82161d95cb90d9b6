// SPDX-License-Identifier: Apache-2.0
//
// What the socket and transfer hooks share: is there a MetaSocket to hand the call to, and the
// two forms that it takes bytes in.
#pragma once

#include "libmeta_os/descriptor_table.h"
#include "libmeta_os/guard.h"

namespace auxin::os {

// The descriptor's meta-object; null also for threads at the meta level.
inline MetaSocket* reified_socket(int fd) {
  MetaSocket* const socket = meta_socket(fd);
  return socket == nullptr || at_meta_level() ? nullptr : socket;
}

// libc has just given out the number: whatever the table says of it is from a descriptor that was
// closed out of sight (fclose). Returns fd.
inline int fresh(int fd) {
  if (meta_socket(fd) != nullptr) detach(fd);
  clear_marks(fd);
  return fd;
}

inline void fresh_pair(const int* pair) {
  fresh(pair[0]);
  fresh(pair[1]);
}

inline ssize_t receive_parts(MetaSocket* socket, int fd, const iovec* parts, size_t count,
                             int flags, CallSite site) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts);
  message.msg_iovlen = count;
  return socket->receive(fd, &message, flags, site);
}

inline ssize_t receive_bytes(MetaSocket* socket, int fd, void* buffer, size_t size, int flags,
                             CallSite site) {
  const iovec part{buffer, size};
  return receive_parts(socket, fd, &part, 1, flags, site);
}

inline ssize_t send_parts(MetaSocket* socket, int fd, const iovec* parts, size_t count, int flags,
                          CallSite site) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts);
  message.msg_iovlen = count;
  return socket->send(fd, &message, flags, site);
}

inline ssize_t send_bytes(MetaSocket* socket, int fd, const void* buffer, size_t size, int flags,
                          CallSite site) {
  const iovec part{const_cast<void*>(buffer), size};
  return send_parts(socket, fd, &part, 1, flags, site);
}

}  // namespace auxin::os
