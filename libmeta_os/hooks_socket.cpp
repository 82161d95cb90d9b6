// SPDX-License-Identifier: Apache-2.0
//
// Hooks: the socket calls. Without a MetaSocket: libc, or (bind, listen, connect) the facet that
// may make one.
#include <errno.h>

#include "libmeta_os/hooks.h"
#include "libmeta_os/module_watch.h"
#include "libmeta_os/process_watch.h"
#include "libmeta_os/reify_socket.h"

namespace auxin::os {
namespace {

DescriptorFacet* facet() { return at_meta_level() ? nullptr : facets.descriptors; }

// As the kernel: the timeout is looked at after each message only.
bool has_passed(const timespec& deadline) {
  timespec now;
  real().clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec != deadline.tv_sec ? now.tv_sec > deadline.tv_sec
                                       : now.tv_nsec >= deadline.tv_nsec;
}

timespec deadline_after(const timespec& timeout) {
  timespec now;
  real().clock_gettime(CLOCK_MONOTONIC, &now);
  now.tv_sec += timeout.tv_sec + (now.tv_nsec + timeout.tv_nsec) / 1'000'000'000;
  now.tv_nsec = (now.tv_nsec + timeout.tv_nsec) % 1'000'000'000;
  return now;
}

}  // namespace

int hook::socket(int domain, int type, int protocol) {
  notice_new_modules();
  return fresh(real().socket(domain, type, protocol));
}

int hook::socketpair(int domain, int type, int protocol, int* pair) {
  const int result = real().socketpair(domain, type, protocol, pair);
  if (result == 0) fresh_pair(pair);
  return result;
}

int hook::bind(int fd, const sockaddr* address, socklen_t length) {
  notice_new_modules();
  if (facet() == nullptr) return real().bind(fd, address, length);
  return facet()->bind(fd, address, length, AUXIN_CALL_SITE);
}

int hook::listen(int fd, int backlog) {
  notice_new_modules();
  watch_exit_from_here();
  if (facet() == nullptr) return real().listen(fd, backlog);
  return facet()->listen(fd, backlog, AUXIN_CALL_SITE);
}

int hook::connect(int fd, const sockaddr* address, socklen_t length) {
  notice_new_modules();
  if (facet() == nullptr) return real().connect(fd, address, length);
  return facet()->connect(fd, address, length, AUXIN_CALL_SITE);
}

int hook::accept(int fd, sockaddr* address, socklen_t* length) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (!socket) return fresh(real().accept(fd, address, length));
  return socket.accept(address, length, 0);
}

int hook::accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (!socket) return fresh(real().accept4(fd, address, length, flags));
  return socket.accept(address, length, flags);
}

ssize_t hook::recv(int fd, void* buffer, size_t size, int flags) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (!socket) return real().recv(fd, buffer, size, flags);
  return socket.receive(buffer, size, flags);
}

ssize_t hook::recvfrom(int fd, void* buffer, size_t size, int flags, sockaddr* address,
                       socklen_t* length) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (!socket) return real().recvfrom(fd, buffer, size, flags, address, length);
  return socket.receive_from(buffer, size, flags, address, length);
}

ssize_t hook::recvmsg(int fd, msghdr* message, int flags) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (!socket) return real().recvmsg(fd, message, flags);
  return socket.receive(message, flags);
}

int hook::recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (!socket) return real().recvmmsg(fd, messages, count, flags, timeout);
  const timespec deadline = timeout == nullptr ? timespec{} : deadline_after(*timeout);
  unsigned done = 0;
  for (; done < count; ++done) {
    const bool no_wait = done > 0 && (flags & MSG_WAITFORONE) != 0;
    const ssize_t received = socket.receive(
        &messages[done].msg_hdr, (flags & ~MSG_WAITFORONE) | (no_wait ? MSG_DONTWAIT : 0));
    if (received < 0) return done > 0 ? static_cast<int>(done) : -1;
    messages[done].msg_len = static_cast<unsigned>(received);
    if (timeout != nullptr && has_passed(deadline)) return static_cast<int>(done) + 1;
  }
  return static_cast<int>(done);
}

ssize_t hook::__recv_chk(int fd, void* buffer, size_t size, size_t buffer_size, int flags) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (!socket || size > buffer_size) {  // libc ends the process on an overflow
    return real().__recv_chk(fd, buffer, size, buffer_size, flags);
  }
  return socket.receive(buffer, size, flags);
}

ssize_t hook::__recvfrom_chk(int fd, void* buffer, size_t size, size_t buffer_size, int flags,
                             sockaddr* address, socklen_t* length) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (!socket || size > buffer_size) {
    return real().__recvfrom_chk(fd, buffer, size, buffer_size, flags, address, length);
  }
  return socket.receive_from(buffer, size, flags, address, length);
}

ssize_t hook::send(int fd, const void* buffer, size_t size, int flags) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (!socket) return real().send(fd, buffer, size, flags);
  return socket.send(buffer, size, flags);
}

ssize_t hook::sendto(int fd, const void* buffer, size_t size, int flags, const sockaddr* address,
                     socklen_t length) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (!socket) return real().sendto(fd, buffer, size, flags, address, length);
  return socket.send_to(buffer, size, flags, address, length);
}

ssize_t hook::sendmsg(int fd, const msghdr* message, int flags) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (!socket) return real().sendmsg(fd, message, flags);
  return socket.send(message, flags);
}

int hook::sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (!socket) return real().sendmmsg(fd, messages, count, flags);
  unsigned done = 0;
  for (; done < count; ++done) {
    const ssize_t sent = socket.send(&messages[done].msg_hdr, flags);
    if (sent < 0) return done > 0 ? static_cast<int>(done) : -1;
    messages[done].msg_len = static_cast<unsigned>(sent);
  }
  return static_cast<int>(done);
}

int hook::shutdown(int fd, int how) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  return !socket ? real().shutdown(fd, how) : socket->shutdown(fd, how);
}

int hook::getsockopt(int fd, int level, int name, void* value, socklen_t* length) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (!socket) return real().getsockopt(fd, level, name, value, length);
  return socket->getsockopt(fd, level, name, value, length);
}

int hook::setsockopt(int fd, int level, int name, const void* value, socklen_t length) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (!socket) return real().setsockopt(fd, level, name, value, length);
  return socket->setsockopt(fd, level, name, value, length);
}

int hook::getpeername(int fd, sockaddr* address, socklen_t* length) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (!socket) return real().getpeername(fd, address, length);
  return socket->getpeername(fd, address, length);
}

int hook::getsockname(int fd, sockaddr* address, socklen_t* length) {
  const ThreadMetaSocket socket(fd, AUXIN_CALL_SITE);
  if (!socket) return real().getsockname(fd, address, length);
  return socket->getsockname(fd, address, length);
}

}  // namespace auxin::os
