// SPDX-License-Identifier: Apache-2.0
//
// Hooks: on which processors a thread may run. Servers size their pools by the answer, so what a
// style does about its replicas' processors must not show in it.
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libmeta_os/hooks.h"

namespace auxin::os {
namespace {

bool reified() { return facets.values != nullptr && !at_meta_level(); }

// 0: the calling thread.
bool is_thread_of_this_process(pid_t tid) {
  if (tid == 0) return true;
  const int saved_errno = errno;
  const bool is = syscall(SYS_tgkill, syscall(SYS_getpid), tid, 0) == 0;
  errno = saved_errno;
  return is;
}

}  // namespace

int hook::sched_getaffinity(pid_t tid, size_t size, cpu_set_t* cpus) {
  if (!reified()) return real().sched_getaffinity(tid, size, cpus);
  const pid_t target = facets.values->target_of(tid);
  const int result = real().sched_getaffinity(target, size, cpus);
  if (result == 0 && is_thread_of_this_process(target)) facets.values->processors(size, cpus);
  return result;
}

int hook::pthread_getaffinity_np(pthread_t thread, size_t size, cpu_set_t* cpus) {
  const int error = real().pthread_getaffinity_np(thread, size, cpus);
  if (error == 0 && reified()) facets.values->processors(size, cpus);
  return error;
}

}  // namespace auxin::os
