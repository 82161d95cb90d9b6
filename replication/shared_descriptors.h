// SPDX-License-Identifier: Apache-2.0
//
// The descriptor facet of the semi-active style: which sockets become replicated ones, and polls
// over descriptors of which some are virtual (DESIGN 4.5).
//
// A socket is replicated when the ORB binds it or connects it on behalf of an activity. What an
// activity's poll tells of replicated connections is a decision: time limits of calls end the same
// way everywhere. Other threads' polls are not followed: in a follower such a poll sleeps on the
// real descriptors and on an event descriptor that the pump writes when a virtual one of the set
// may have become ready.
#pragma once

#include "libmeta_os/facets.h"

namespace auxin::replication {

class SharedDescriptors final : public os::DescriptorFacet {
 public:
  int bind(int fd, const sockaddr* address, socklen_t length, os::CallSite site) override;
  int listen(int fd, int backlog, os::CallSite site) override;
  int connect(int fd, const sockaddr* address, socklen_t length, os::CallSite site) override;
  int unlink(const char* path, os::CallSite site) override;
  int chmod(const char* path, mode_t mode, os::CallSite site) override;
  bool takes_polls() const override;
  int poll(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask) override;

 private:
  int poll_agreed(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask);
  int poll_freely(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask);
};

}  // namespace auxin::replication
