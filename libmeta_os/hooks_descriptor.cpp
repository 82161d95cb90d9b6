// SPDX-License-Identifier: Apache-2.0
//
// Hooks: the life of descriptors. All duplicates of a descriptor share one MetaSocket; the table is
// put right before a number can be given out again.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <unistd.h>

#include <algorithm>

#include "libmeta_os/hooks.h"
#include "libmeta_os/reify_socket.h"

namespace auxin::os {
namespace {

// Closes a descriptor that has a MetaSocket; the MetaSocket does the real close.
int close_reified(MetaSocket* socket, int fd) {
  detach(fd);
  clear_marks(fd);
  return socket->close(fd, attached_count(socket) == 0);
}

// `number` has just become a duplicate of `fd`.
int duplicated(int fd, int number) {
  if (number < 0 || number == fd) return number;
  MetaSocket* const socket = reified_socket(fd);
  if (socket != meta_socket(number)) attach(number, socket);
  copy_marks(fd, number);
  return number;
}

// dup2 and dup3 close what `number` stood for. Where that is a MetaSocket it must be told, so it is
// closed first; the number may in between be taken by another thread's open, which dup2 then
// closes, as POSIX warns of any program that uses a number twice.
void make_room(int fd, int number) {
  MetaSocket* const replaced = reified_socket(number);
  if (replaced == nullptr || fd == number || real().fcntl(fd, F_GETFD, nullptr) < 0) return;
  const int saved_errno = errno;
  close_reified(replaced, number);
  errno = saved_errno;
}

void close_all_reified(unsigned first, unsigned last) {
  const int end = static_cast<int>(std::min<unsigned>(last, kMaxDescriptors - 1));
  for (int fd = static_cast<int>(std::min<unsigned>(first, kMaxDescriptors)); fd <= end; ++fd) {
    clear_marks(fd);
    if (MetaSocket* const socket = reified_socket(fd)) close_reified(socket, fd);
  }
}

int control(int fd, int command, void* argument, decltype(RealCalls::fcntl) libc) {
  if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) {
    return duplicated(fd, libc(fd, command, argument));
  }
  MetaSocket* const socket = reified_socket(fd);
  if (socket == nullptr) return libc(fd, command, argument);
  return socket->fcntl(fd, command, reinterpret_cast<long>(argument));
}

}  // namespace

int hook::close(int fd) {
  MetaSocket* const socket = reified_socket(fd);
  if (socket != nullptr) return close_reified(socket, fd);
  clear_marks(fd);
  return real().close(fd);
}

int hook::close_range(unsigned first, unsigned last, int flags) {
  const bool only_marks = (flags & CLOSE_RANGE_CLOEXEC) != 0;
  if (!only_marks && first <= last) close_all_reified(first, last);
  return real().close_range(first, last, flags);
}

void hook::closefrom(int first) {
  close_all_reified(static_cast<unsigned>(std::max(first, 0)), UINT_MAX);
  real().closefrom(first);
}

int hook::dup(int fd) { return duplicated(fd, real().dup(fd)); }

int hook::dup2(int fd, int number) {
  make_room(fd, number);
  return duplicated(fd, real().dup2(fd, number));
}

int hook::dup3(int fd, int number, int flags) {
  if ((flags & ~O_CLOEXEC) == 0) make_room(fd, number);
  return duplicated(fd, real().dup3(fd, number, flags));
}

int hook::fcntl(int fd, int command, void* argument) {
  return control(fd, command, argument, real().fcntl);
}

int hook::fcntl64(int fd, int command, void* argument) {
  return control(fd, command, argument, real().fcntl64);
}

int hook::ioctl(int fd, unsigned long request, void* argument) {
  MetaSocket* const socket = reified_socket(fd);
  if (socket == nullptr) return real().ioctl(fd, request, argument);
  return socket->ioctl(fd, request, argument);
}

int hook::pipe(int* pair) {
  const int result = real().pipe(pair);
  if (result == 0) fresh_pair(pair);
  return result;
}

int hook::pipe2(int* pair, int flags) {
  const int result = real().pipe2(pair, flags);
  if (result == 0) fresh_pair(pair);
  return result;
}

int hook::eventfd(unsigned value, int flags) { return fresh(real().eventfd(value, flags)); }

int hook::timerfd_create(clockid_t clock, int flags) {
  return fresh(real().timerfd_create(clock, flags));
}

int hook::timerfd_settime(int fd, int flags, const itimerspec* value, itimerspec* old_value) {
  return real().timerfd_settime(fd, flags, value, old_value);
}

int hook::timerfd_gettime(int fd, itimerspec* value) { return real().timerfd_gettime(fd, value); }

int hook::signalfd(int fd, const sigset_t* mask, int flags) {
  const int result = real().signalfd(fd, mask, flags);
  return fd == -1 ? fresh(result) : result;  // otherwise it changes the mask of fd
}

}  // namespace auxin::os
