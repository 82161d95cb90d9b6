// SPDX-License-Identifier: Apache-2.0
//
// The value facet of the semi-active style: what the leader read, every replica reads (DESIGN 4.3).
// Only call sites that the classification names come here. Sleeps are values too: a follower does
// not sleep, it waits until the leader has slept.
#pragma once

#include "libmeta_os/facets.h"

namespace auxin::replication {

class AgreedValues final : public os::ValueFacet {
 public:
  int clock_gettime(clockid_t clock, timespec* time, os::CallSite site) override;
  int gettimeofday(timeval* time, void* zone, os::CallSite site) override;
  time_t time(time_t* time, os::CallSite site) override;
  ssize_t getrandom(void* buffer, size_t size, unsigned flags, os::CallSite site) override;
  long random(os::CallSite site) override;
  int rand(os::CallSite site) override;
  unsigned random_device(os::CallSite site) override;
  pid_t getpid() override;
  pid_t target_of(pid_t pid) override;
  void processors(size_t size, cpu_set_t* cpus) override;
  int clock_nanosleep(clockid_t clock, int flags, const timespec* request, timespec* remaining,
                      os::CallSite site) override;
  int wait_for_signal(const sigset_t* set, siginfo_t* info, const timespec* timeout,
                      os::CallSite site) override;
};

}  // namespace auxin::replication
