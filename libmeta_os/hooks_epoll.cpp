// SPDX-License-Identifier: Apache-2.0
//
// Hooks: epoll. Once a MetaSocket was added to an epoll descriptor, the facet has all its calls.
#include "libmeta_os/hooks.h"
#include "libmeta_os/reify_socket.h"

namespace auxin::os {
namespace {

bool reified(int epoll_fd) {
  return is_marked(epoll_fd, kEpollWithMeta) && facets.descriptors != nullptr && !at_meta_level();
}

int order(int epoll_fd, epoll_event* events, int capacity, int timeout_ms, const sigset_t* mask) {
  const timespec timeout{timeout_ms / 1000, timeout_ms % 1000 * 1'000'000L};
  return facets.descriptors->epoll_wait(epoll_fd, events, capacity,
                                        timeout_ms < 0 ? nullptr : &timeout, mask);
}

}  // namespace

int hook::epoll_create(int size) { return fresh(real().epoll_create(size)); }
int hook::epoll_create1(int flags) { return fresh(real().epoll_create1(flags)); }

int hook::epoll_ctl(int epoll_fd, int operation, int fd, epoll_event* event) {
  const bool adds = operation == EPOLL_CTL_ADD && reified_socket(fd) != nullptr;
  if (adds && facets.descriptors != nullptr) set_mark(epoll_fd, kEpollWithMeta, true);
  if (!reified(epoll_fd)) return real().epoll_ctl(epoll_fd, operation, fd, event);
  return facets.descriptors->epoll_ctl(epoll_fd, operation, fd, event);
}

int hook::epoll_wait(int epoll_fd, epoll_event* events, int capacity, int timeout_ms) {
  if (!reified(epoll_fd)) return real().epoll_wait(epoll_fd, events, capacity, timeout_ms);
  return order(epoll_fd, events, capacity, timeout_ms, nullptr);
}

int hook::epoll_pwait(int epoll_fd, epoll_event* events, int capacity, int timeout_ms,
                      const sigset_t* mask) {
  if (!reified(epoll_fd)) return real().epoll_pwait(epoll_fd, events, capacity, timeout_ms, mask);
  return order(epoll_fd, events, capacity, timeout_ms, mask);
}

int hook::epoll_pwait2(int epoll_fd, epoll_event* events, int capacity, const timespec* timeout,
                       const sigset_t* mask) {
  if (!reified(epoll_fd)) return real().epoll_pwait2(epoll_fd, events, capacity, timeout, mask);
  return facets.descriptors->epoll_wait(epoll_fd, events, capacity, timeout, mask);
}

}  // namespace auxin::os
