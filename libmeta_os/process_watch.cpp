// SPDX-License-Identifier: Apache-2.0
//
// The parts of process life that no hook sees, watched from libmeta_os's own constructor: fork in
// all its forms (pthread_atfork), return from main (on_exit), and what was loaded at the start.
#include "libmeta_os/process_watch.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "libmeta_os/counters.h"
#include "libmeta_os/descriptor_table.h"
#include "libmeta_os/guard.h"
#include "libmeta_os/module_watch.h"
#include "libmeta_os/real_calls.h"
#include "libmeta_os/thread_numbers.h"

namespace auxin::os {

constinit std::atomic<int (*)(pthread_t)> number_of_restored_thread{nullptr};
constinit std::atomic<pid_t> number_of_first_process{0};

namespace {

constinit std::atomic<long> own_pid{0};  // 0: before the constructor
constinit std::atomic<bool> exit_told{false};

long kernel_pid() { return syscall(SYS_getpid); }

// Handlers run in reverse order of registration.
void at_exit(int status, void*) { tell_exiting(status); }

__attribute__((constructor)) void begin() {
  const MetaLevel meta;
  resolve_real_calls();
  counters();
  own_pid.store(kernel_pid());
  pthread_atfork(nullptr, nullptr, become_forked_child);
  on_exit(at_exit, nullptr);
  watch_modules();
}

}  // namespace

bool is_this_process() {
  const long pid = own_pid.load(std::memory_order_relaxed);
  return pid == 0 || pid == kernel_pid();
}

void tell_exiting(int status) {
  if (facets.process == nullptr || !is_this_process() || exit_told.exchange(true)) return;
  facets.process->exiting(status);
}

void watch_exit_from_here() {
  static constinit std::atomic<bool> done{false};
  if (!done.load(std::memory_order_relaxed) && !done.exchange(true)) on_exit(at_exit, nullptr);
}

void become_restored_process() {
  if (number_of_first_process.load() == 0)
    number_of_first_process.store(static_cast<pid_t>(own_pid.load()));
  own_pid.store(kernel_pid());
}

void become_forked_child() {
  own_pid.store(kernel_pid());
  keep_only_this_shard();
  const MetaLevel meta;
  ProcessFacet* const process = facets.process;
  if (process != nullptr) process->forked_child();
  detach_all();
  facets = Facets{};
  facets.process = process;
  exit_told.store(false);
}

}  // namespace auxin::os
