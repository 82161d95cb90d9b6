// SPDX-License-Identifier: Apache-2.0
//
// Hooks: bytes through descriptors of any kind. Three kinds are not libc's alone: descriptors with
// a MetaSocket, standard output and error (a follower holds its back), and random sources.
#include <errno.h>
#include <unistd.h>

#include <algorithm>

#include "libmeta_os/hooks.h"
#include "libmeta_os/reify.h"
#include "libmeta_os/reify_socket.h"

namespace auxin::os {
namespace {

bool standard_reified(int fd) {
  return (fd == STDOUT_FILENO || fd == STDERR_FILENO) && facets.descriptors != nullptr &&
         !at_meta_level();
}

bool random_reified(int fd) {
  return is_marked(fd, kRandomSource) && facets.values != nullptr && !at_meta_level();
}

// One read of `in_fd` at *offset, or at its file position, that leaves the position alone.
ssize_t read_ahead(int in_fd, off_t* offset, off_t position, void* buffer, size_t size) {
  if (offset != nullptr) return ::pread(in_fd, buffer, size, *offset);
  return ::pread(in_fd, buffer, size, position);
}

// sendfile as the kernel's: sends until `count`, end of file, or a send that does not take all; an
// error counts only if nothing was sent.
ssize_t send_file(const ThreadMetaSocket& socket, int in_fd, off_t* offset, size_t count) {
  char buffer[16 * 1024];
  size_t total = 0;
  off_t position = offset == nullptr ? ::lseek(in_fd, 0, SEEK_CUR) : 0;
  if (position < 0) return -1;
  while (total < count) {
    const size_t wanted = std::min(sizeof(buffer), count - total);
    const ssize_t got = read_ahead(in_fd, offset, position, buffer, wanted);
    if (got <= 0) return total > 0 ? static_cast<ssize_t>(total) : got;
    const ssize_t sent = socket.send(buffer, static_cast<size_t>(got), 0);
    if (sent < 0) return total > 0 ? static_cast<ssize_t>(total) : -1;
    total += static_cast<size_t>(sent);
    if (offset != nullptr) {
      *offset += sent;
    } else {
      position = ::lseek(in_fd, sent, SEEK_CUR);
    }
    if (sent < got) break;
  }
  return static_cast<ssize_t>(total);
}

}  // namespace

ssize_t hook::read(int fd, void* buffer, size_t size) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (socket) return socket.receive(buffer, size, 0);
  if (random_reified(fd)) return facets.values->getrandom(buffer, size, 0, AUXIN_CALL_SITE);
  return real().read(fd, buffer, size);
}

ssize_t hook::__read_chk(int fd, void* buffer, size_t size, size_t buffer_size) {
  if (size > buffer_size) return real().__read_chk(fd, buffer, size, buffer_size);
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (socket) return socket.receive(buffer, size, 0);
  if (random_reified(fd)) return facets.values->getrandom(buffer, size, 0, AUXIN_CALL_SITE);
  return real().__read_chk(fd, buffer, size, buffer_size);
}

ssize_t hook::readv(int fd, const iovec* parts, int count) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (socket && count > 0) return socket.receive(parts, static_cast<size_t>(count));
  if (random_reified(fd) && count > 0) {  // fewer bytes than asked for are in order
    return facets.values->getrandom(parts[0].iov_base, parts[0].iov_len, 0, AUXIN_CALL_SITE);
  }
  return real().readv(fd, parts, count);
}

ssize_t hook::write(int fd, const void* buffer, size_t size) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (socket) return socket.send(buffer, size, 0);
  if (standard_reified(fd)) {
    const iovec part{const_cast<void*>(buffer), size};
    return facets.descriptors->write_standard(fd, &part, 1);
  }
  return real().write(fd, buffer, size);
}

ssize_t hook::writev(int fd, const iovec* parts, int count) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (socket && count > 0) return socket.send(parts, static_cast<size_t>(count));
  if (standard_reified(fd)) return facets.descriptors->write_standard(fd, parts, count);
  return real().writev(fd, parts, count);
}

ssize_t hook::sendfile(int out_fd, int in_fd, off_t* offset, size_t count) {
  const ThreadMetaSocket socket(out_fd, AUXIN_CALL_SITE);
  if (!socket) return real().sendfile(out_fd, in_fd, offset, count);
  return send_file(socket, in_fd, offset, count);
}

ssize_t hook::sendfile64(int out_fd, int in_fd, off_t* offset, size_t count) {
  const ThreadMetaSocket socket(out_fd, AUXIN_CALL_SITE);
  if (!socket) return real().sendfile64(out_fd, in_fd, offset, count);
  return send_file(socket, in_fd, offset, count);
}

}  // namespace auxin::os
