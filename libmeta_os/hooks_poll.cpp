// SPDX-License-Identifier: Apache-2.0
//
// Hooks: poll, select and their relations. A call goes to DescriptorFacet::poll if one of its
// descriptors has a MetaSocket and the facet takes the thread's polls; a select is turned into a
// poll and its answer back.
#include <alloca.h>
#include <errno.h>

#include "libmeta_os/hooks.h"
#include "libmeta_os/reify_socket.h"
#include "libmeta_os/select_sets.h"

namespace auxin::os {
namespace {

bool may_be_reified() {
  return facets.descriptors != nullptr && !at_meta_level() && facets.descriptors->takes_polls();
}

bool reified(const pollfd* fds, nfds_t count) {
  if (!may_be_reified() || fds == nullptr) return false;
  for (nfds_t i = 0; i < count; ++i) {
    if (meta_socket(fds[i].fd) != nullptr) return true;
  }
  return false;
}

bool reified(const SelectSets& sets) {
  if (!may_be_reified()) return false;
  for (int fd = 0; fd < sets.count; ++fd) {
    if (sets.wants(fd) && meta_socket(fd) != nullptr) return true;
  }
  return false;
}

int order(pollfd* fds, nfds_t count, int timeout_ms) {
  const timespec timeout{timeout_ms / 1000, timeout_ms % 1000 * 1'000'000L};
  return facets.descriptors->poll(fds, count, timeout_ms < 0 ? nullptr : &timeout, nullptr);
}

// The facet's answer to a select.
int order(const SelectSets& sets, const timespec* timeout, const sigset_t* mask) {
  const nfds_t count = sets.wanted_count();
  auto* const fds = static_cast<pollfd*>(alloca(sizeof(pollfd) * count));
  sets.to_poll(fds);
  const int ready = facets.descriptors->poll(fds, count, timeout, mask);
  return ready < 0 ? ready : sets.from_poll(fds, count);
}

}  // namespace

int hook::poll(pollfd* fds, nfds_t count, int timeout_ms) {
  if (!reified(fds, count)) return real().poll(fds, count, timeout_ms);
  return order(fds, count, timeout_ms);
}

int hook::__poll_chk(pollfd* fds, nfds_t count, int timeout_ms, size_t fds_size) {
  if (fds_size / sizeof(pollfd) < count || !reified(fds, count)) {
    return real().__poll_chk(fds, count, timeout_ms, fds_size);
  }
  return order(fds, count, timeout_ms);
}

int hook::ppoll(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  if (!reified(fds, count)) return real().ppoll(fds, count, timeout, mask);
  return facets.descriptors->poll(fds, count, timeout, mask);
}

int hook::__ppoll_chk(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask,
                      size_t fds_size) {
  if (fds_size / sizeof(pollfd) < count || !reified(fds, count)) {
    return real().__ppoll_chk(fds, count, timeout, mask, fds_size);
  }
  return facets.descriptors->poll(fds, count, timeout, mask);
}

int hook::select(int count, fd_set* read_set, fd_set* write_set, fd_set* except_set,
                 timeval* timeout) {
  const SelectSets sets{count, read_set, write_set, except_set};
  if (!reified(sets)) return real().select(count, read_set, write_set, except_set, timeout);
  if (timeout == nullptr) return order(sets, nullptr, nullptr);
  if (timeout->tv_sec < 0 || timeout->tv_usec < 0) {
    errno = EINVAL;
    return -1;
  }
  const RemainingTime remaining(*timeout);
  const int ready = order(sets, &remaining.at_start(), nullptr);
  const int saved_errno = errno;
  remaining.store(timeout);  // as Linux does
  errno = saved_errno;
  return ready;
}

int hook::pselect(int count, fd_set* read_set, fd_set* write_set, fd_set* except_set,
                  const timespec* timeout, const sigset_t* mask) {
  const SelectSets sets{count, read_set, write_set, except_set};
  if (!reified(sets)) return real().pselect(count, read_set, write_set, except_set, timeout, mask);
  return order(sets, timeout, mask);
}

}  // namespace auxin::os
