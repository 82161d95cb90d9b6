// SPDX-License-Identifier: Apache-2.0
//
// The kernel's numbers of threads in a restored process.
//
// libc finds a thread's number in its own descriptor of it, which is memory and so still says what
// it said in the process that was saved. Calls that reach another thread by it have to ask here.
//
// The process's own number goes on being what it was: libraries store it to find out that they are
// in a forked child (libzmq waits for ever where it has changed).
//
// Thread safety: any thread.
#pragma once

#include <pthread.h>

#include <atomic>

#include "libmeta_os/raw_syscall.h"

namespace auxin::os {

// Set in a restored process. 0: the thread was not there when it was saved; libc's number is right.
extern constinit std::atomic<int (*)(pthread_t)> number_of_restored_thread;

// In a restored process: what getpid() said in the first one. 0: not in a restored process.
extern constinit std::atomic<pid_t> number_of_first_process;

// The kernel's number of a process that the program calls `pid`.
inline pid_t kernels_pid(pid_t pid) {
  const pid_t first = number_of_first_process.load(std::memory_order_relaxed);
  if (first == 0 || pid != first) [[likely]] return pid;
  return static_cast<pid_t>(raw_syscall(SYS_getpid));
}

inline int restored_number(pthread_t thread) {
  const auto ask = number_of_restored_thread.load(std::memory_order_acquire);
  return ask == nullptr ? 0 : ask(thread);
}

}  // namespace auxin::os
