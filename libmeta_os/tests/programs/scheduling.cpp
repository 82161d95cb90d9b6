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

PROGRAM(what_the_kernel_keeps_for_a_thread) {
  const pthread_t self = pthread_self();
  cpu_set_t all;
  pthread_getaffinity_np(self, sizeof all, &all);
  say_error("pthread_setaffinity_np", pthread_setaffinity_np(self, sizeof all, &all));
  say_error("too small", pthread_setaffinity_np(self, 0, &all));
  int policy = -1;
  sched_param parameters{77};
  say_error("pthread_getschedparam", pthread_getschedparam(self, &policy, &parameters));
  say("policy", policy);
  say("priority", parameters.sched_priority);
  say_error("pthread_setschedparam", pthread_setschedparam(self, SCHED_BATCH, &parameters));
  say_error("pthread_setschedprio", pthread_setschedprio(self, 0));
  say_error("no such priority", pthread_setschedprio(self, 1000));
  char name[16] = "";
  say_error("pthread_setname_np", pthread_setname_np(self, "renamed"));
  say_error("too long", pthread_setname_np(self, "sixteen letters!"));
  say_error("pthread_getname_np", pthread_getname_np(self, name, sizeof name));
  say("its name", std::string(name) == "renamed");
  say_error("too small", pthread_getname_np(self, name, 15));
  clockid_t clock;
  timespec used{};
  say_error("pthread_getcpuclockid", pthread_getcpuclockid(self, &clock));
  say_errno("clock_gettime", clock_gettime(clock, &used));
}

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
