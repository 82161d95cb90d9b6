// SPDX-License-Identifier: Apache-2.0
#include "libmeta_os/select_sets.h"

#include <errno.h>

#include "libmeta_os/real_calls.h"

namespace auxin::os {
namespace {

constexpr short kReadEvents = POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR;
constexpr short kWriteEvents = POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR;
constexpr short kExceptEvents = POLLPRI;
constexpr int kBitsPerWord = 8 * sizeof(unsigned long);
constexpr long kNanosecondsPerSecond = 1'000'000'000;

bool has(const fd_set* set, int fd) {
  if (set == nullptr) return false;
  const auto* words = reinterpret_cast<const unsigned long*>(set);
  return (words[fd / kBitsPerWord] >> (fd % kBitsPerWord) & 1) != 0;
}

void add(fd_set* set, int fd) {
  reinterpret_cast<unsigned long*>(set)[fd / kBitsPerWord] |= 1ul << (fd % kBitsPerWord);
}

void clear(fd_set* set, int count) {
  if (set == nullptr) return;
  auto* words = reinterpret_cast<unsigned long*>(set);
  for (int word = 0; word * kBitsPerWord < count; ++word) words[word] = 0;
}

}  // namespace

bool SelectSets::wants(int fd) const {
  return has(read_set, fd) || has(write_set, fd) || has(except_set, fd);
}

nfds_t SelectSets::wanted_count() const {
  nfds_t wanted = 0;
  for (int fd = 0; fd < count; ++fd) wanted += wants(fd);
  return wanted;
}

void SelectSets::to_poll(pollfd* fds) const {
  for (int fd = 0; fd < count; ++fd) {
    if (!wants(fd)) continue;
    short events = 0;
    if (has(read_set, fd)) events |= POLLIN | POLLRDNORM | POLLRDBAND;
    if (has(write_set, fd)) events |= POLLOUT | POLLWRNORM | POLLWRBAND;
    if (has(except_set, fd)) events |= POLLPRI;
    *fds++ = pollfd{fd, events, 0};
  }
}

int SelectSets::from_poll(const pollfd* fds, nfds_t fd_count) const {
  for (nfds_t i = 0; i < fd_count; ++i) {
    if ((fds[i].revents & POLLNVAL) != 0) {
      errno = EBADF;
      return -1;
    }
  }
  clear(read_set, count);
  clear(write_set, count);
  clear(except_set, count);
  int bits = 0;
  const auto report = [&bits](fd_set* set, const pollfd& fd, short asked, short ready) {
    if (set == nullptr || (fd.events & asked) == 0 || (fd.revents & ready) == 0) return;
    add(set, fd.fd);
    ++bits;
  };
  for (nfds_t i = 0; i < fd_count; ++i) {
    report(read_set, fds[i], POLLIN, kReadEvents);
    report(write_set, fds[i], POLLOUT, kWriteEvents);
    report(except_set, fds[i], POLLPRI, kExceptEvents);
  }
  return bits;
}

RemainingTime::RemainingTime(const timeval& timeout)
    : timeout_{timeout.tv_sec + timeout.tv_usec / 1'000'000,
               timeout.tv_usec % 1'000'000 * 1000} {
  real().clock_gettime(CLOCK_MONOTONIC, &began_);
}

void RemainingTime::store(timeval* remaining) const {
  timespec now;
  real().clock_gettime(CLOCK_MONOTONIC, &now);
  long seconds = timeout_.tv_sec - (now.tv_sec - began_.tv_sec);
  long nanoseconds = timeout_.tv_nsec - (now.tv_nsec - began_.tv_nsec);
  while (nanoseconds < 0) {
    nanoseconds += kNanosecondsPerSecond;
    --seconds;
  }
  if (nanoseconds >= kNanosecondsPerSecond) {
    nanoseconds -= kNanosecondsPerSecond;
    ++seconds;
  }
  *remaining = seconds < 0 ? timeval{0, 0} : timeval{seconds, nanoseconds / 1000};
}

}  // namespace auxin::os
