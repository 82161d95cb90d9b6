// SPDX-License-Identifier: Apache-2.0
//
// On which processors a thread may run.
#include <sched.h>
#include <sys/syscall.h>

#include "program.h"

using namespace programs;

namespace {

int first_of(const cpu_set_t& cpus) {
  int cpu = 0;
  while (cpu < CPU_SETSIZE && !CPU_ISSET(cpu, &cpus)) ++cpu;
  return cpu;
}

}  // namespace

PROGRAM(processors_of_a_thread) {
  cpu_set_t all, again, one;
  say_errno("sched_getaffinity", sched_getaffinity(0, sizeof all, &all));
  memset(&again, 0xff, sizeof again);
  say_error("pthread_getaffinity_np", pthread_getaffinity_np(pthread_self(), sizeof again, &again));
  say("the same", CPU_EQUAL(&all, &again) != 0);
  CPU_ZERO(&one);
  CPU_SET(first_of(all), &one);
  say_errno("sched_setaffinity", sched_setaffinity(0, sizeof one, &one));
  errno = ENOTTY;
  say_errno("sched_getaffinity", sched_getaffinity(getpid(), sizeof again, &again));
  say("what was set", CPU_EQUAL(&one, &again) != 0);
  say_error("errno", errno);
  say_errno("too small", sched_getaffinity(0, 1, &again));
  say_error("too small", pthread_getaffinity_np(pthread_self(), 1, &again));
  say_errno("no such thread", sched_getaffinity(0x7fffffff, sizeof again, &again));
  say_errno("another process", sched_getaffinity(getppid(), sizeof again, &again));
  say("its processors", CPU_EQUAL(&all, &again) != 0);
  say_errno("nowhere", sched_getaffinity(0, sizeof again, nullptr));
}
