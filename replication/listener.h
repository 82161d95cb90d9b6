// SPDX-License-Identifier: Apache-2.0
//
// A listening socket that all replicas of a node share.
//
// The leader binds it; the others take a duplicate of the very same kernel socket when they reach
// their own bind, so ports agree and killing the leader closes nothing. Only the leader accepts
// from the kernel; a follower's accept takes the logged connections, or says EAGAIN.
//
// Thread safety: any thread; the queue is under the replay lock. Source: DESIGN 4.5.
#pragma once

#include <cstdint>

#include "libmeta_os/facets.h"
#include "replication/group_state.h"
#include "replication/log_entry.h"
#include "replication/replay.h"

namespace auxin::replication {

class Listener final : public os::MetaSocket {
 public:
  static Listener* find(uint64_t number);

  // The server's bind of `fd`, as the decision (activity, step) it is. In the leader: really binds,
  // logs, announces. In a follower: takes over the leader's socket under the same number `fd`.
  // Result and errno as bind's.
  static int bind(int fd, const sockaddr* address, socklen_t length, os::CallSite site);
  // The server's listen: marks the replica as serving.
  int listen(int fd, int backlog);

  // Pump, under the replay lock.
  static void announced(uint64_t position, const stm::LogEntry& entry);
  PositionQueue& queue() { return queue_; }
  WaitQueue& waiters() { return waiters_; }
  bool take_polled() { bool was = polled_; polled_ = false; return was; }
  void set_polled() { polled_ = true; }

  // Steward, at a takeover: connections that the dead leader accepted and did not publish are found
  // among the descriptors that its keeper still holds, and logged.
  static void adopt_orphans(int keeper_pid);
  static void publish_holders();
  // In a restored process: the socket comes under its number again.
  void fetch_again(bool close_on_exec, bool listens);
  static void for_each(void (*visit)(Listener&, void*), void* context);
  int fd() const { return fd_; }
  uint64_t number() const { return number_; }

  // os::MetaSocket
  ssize_t receive(int fd, msghdr* message, int flags, os::CallSite site) override;
  ssize_t send(int fd, const msghdr* message, int flags, os::CallSite site) override;
  int accept(int fd, sockaddr* address, socklen_t* length, int flags, os::CallSite site) override;
  int shutdown(int fd, int how) override;
  int close(int fd, bool last) override;
  int fcntl(int fd, int command, long argument) override;
  int ioctl(int fd, unsigned long request, void* argument) override;
  int setsockopt(int fd, int level, int name, const void* value, socklen_t length) override;
  int getsockopt(int fd, int level, int name, void* value, socklen_t* length) override;
  int getpeername(int fd, sockaddr* address, socklen_t* length) override;
  int getsockname(int fd, sockaddr* address, socklen_t* length) override;
  short readiness(short events) override;
  short readiness_locked(short events);

 private:
  bool is_virtual() const;  // a follower's: the kernel's socket is the leader's
  static Listener* make(uint64_t number);
  // False: this process follows, since a moment ago, and nothing was done.
  bool accept_live(int fd, sockaddr* address, socklen_t* length, int flags, int* result);
  int accept_replayed(sockaddr* address, socklen_t* length, int flags, bool* live);
  bool take_over_socket(int fd);
  void take_over_or_bind(int fd);

  uint64_t number_ = 0;
  int fd_ = -1;
  bool non_blocking_ = false;
  bool polled_ = false;
  bool closed_ = false;
  PositionQueue queue_;
  WaitQueue waiters_;
};

}  // namespace auxin::replication
