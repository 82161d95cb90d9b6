// SPDX-License-Identifier: Apache-2.0
//
// Hooks: on which processors a thread may run. Servers size their pools by the answer, so what a
// style does about its replicas' processors must not show in it.
//
// And what libc asks the kernel about a thread by the number that it has for it: in a restored
// process that was the thread's number in the saved one (thread_numbers.h).
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libmeta_os/hooks.h"
#include "libmeta_os/thread_numbers.h"

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

// As the pthread functions tell it: the error is the result.
int error_of(long result) { return result < 0 ? static_cast<int>(-result) : 0; }

constexpr size_t kNameSizeBytes = 16;   // TASK_COMM_LEN

int open_name(int tid, int flags) {
  char path[48];
  snprintf(path, sizeof path, "/proc/self/task/%d/comm", tid);
  return static_cast<int>(
      raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path), flags | O_CLOEXEC));
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
  const int kernels = restored_number(thread);
  int error = 0;
  if (kernels == 0) {
    error = real().pthread_getaffinity_np(thread, size, cpus);
  } else {
    const long filled = raw_syscall(SYS_sched_getaffinity, kernels, static_cast<long>(size),
                                    reinterpret_cast<long>(cpus));
    error = error_of(filled);
    if (error == 0)
      memset(reinterpret_cast<char*>(cpus) + filled, 0, size - static_cast<size_t>(filled));
  }
  if (error == 0 && reified()) facets.values->processors(size, cpus);
  return error;
}

int hook::pthread_setaffinity_np(pthread_t thread, size_t size, const cpu_set_t* cpus) {
  const int kernels = restored_number(thread);
  if (kernels == 0) return real().pthread_setaffinity_np(thread, size, cpus);
  return error_of(raw_syscall(SYS_sched_setaffinity, kernels, static_cast<long>(size),
                              reinterpret_cast<long>(cpus)));
}

int hook::pthread_setschedparam(pthread_t thread, int policy, const sched_param* parameters) {
  const int kernels = restored_number(thread);
  if (kernels == 0) return real().pthread_setschedparam(thread, policy, parameters);
  return error_of(raw_syscall(SYS_sched_setscheduler, kernels, policy,
                              reinterpret_cast<long>(parameters)));
}

int hook::pthread_getschedparam(pthread_t thread, int* policy, sched_param* parameters) {
  const int kernels = restored_number(thread);
  if (kernels == 0) return real().pthread_getschedparam(thread, policy, parameters);
  const long scheduler = raw_syscall(SYS_sched_getscheduler, kernels);
  if (scheduler < 0) return error_of(scheduler);
  *policy = static_cast<int>(scheduler);
  return error_of(raw_syscall(SYS_sched_getparam, kernels, reinterpret_cast<long>(parameters)));
}

int hook::pthread_setschedprio(pthread_t thread, int priority) {
  const int kernels = restored_number(thread);
  if (kernels == 0) return real().pthread_setschedprio(thread, priority);
  const sched_param parameters{priority};
  return error_of(raw_syscall(SYS_sched_setparam, kernels, reinterpret_cast<long>(&parameters)));
}

int hook::pthread_setname_np(pthread_t thread, const char* name) {
  const int kernels = restored_number(thread);
  if (kernels == 0) return real().pthread_setname_np(thread, name);
  const size_t length = strlen(name);
  if (length >= kNameSizeBytes) return ERANGE;
  const int fd = open_name(kernels, O_RDWR);
  if (fd < 0) return error_of(fd);
  const long written = raw_syscall(SYS_write, fd, reinterpret_cast<long>(name),
                                   static_cast<long>(length));
  raw_syscall(SYS_close, fd);
  return error_of(written);
}

int hook::pthread_getname_np(pthread_t thread, char* name, size_t size) {
  const int kernels = restored_number(thread);
  if (kernels == 0) return real().pthread_getname_np(thread, name, size);
  if (size < kNameSizeBytes) return ERANGE;
  const int fd = open_name(kernels, O_RDONLY);
  if (fd < 0) return error_of(fd);
  const long got =
      raw_syscall(SYS_read, fd, reinterpret_cast<long>(name), static_cast<long>(kNameSizeBytes));
  raw_syscall(SYS_close, fd);
  if (got <= 0) return got < 0 ? error_of(got) : ESRCH;
  name[got - 1] = '\0';   // where the kernel has a line's end
  return 0;
}

int hook::pthread_getcpuclockid(pthread_t thread, clockid_t* clock) {
  const int kernels = restored_number(thread);
  if (kernels == 0) return real().pthread_getcpuclockid(thread, clock);
  // As the kernel numbers the clocks of threads: processor time (2), of a thread (4).
  *clock = static_cast<clockid_t>(~static_cast<unsigned>(kernels) << 3 | 6);
  return 0;
}

}  // namespace auxin::os
