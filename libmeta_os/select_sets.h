// SPDX-License-Identifier: Apache-2.0
//
// The three sets of a select call as an array for poll, and poll's answer as three sets, with the
// kernel's own rules for which poll event makes a descriptor ready in which set.
//
// One difference: Linux ignores bits beyond the size of its own table of the process's descriptors
// (at least 64); here they are EBADF as everywhere else.
//
// Works on the words of the sets, not with FD_SET: programs pass sets larger than FD_SETSIZE.
#pragma once

#include <poll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>

namespace auxin::os {

struct SelectSets {
  int count;  // descriptors 0 to count - 1
  fd_set* read_set;  // null: not asked for
  fd_set* write_set;
  fd_set* except_set;

  bool wants(int fd) const;
  nfds_t wanted_count() const;
  // Fills wanted_count() entries.
  void to_poll(pollfd* fds) const;
  // Writes the sets; returns the number of bits set, or -1 with EBADF and the sets as they were.
  int from_poll(const pollfd* fds, nfds_t fd_count) const;
};

// What is left of a select's timeout.
class RemainingTime {
 public:
  explicit RemainingTime(const timeval& timeout);
  const timespec& at_start() const { return timeout_; }
  void store(timeval* remaining) const;

 private:
  timespec timeout_;
  timespec began_;
};

}  // namespace auxin::os
