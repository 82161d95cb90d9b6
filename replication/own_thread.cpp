// SPDX-License-Identifier: Apache-2.0
#include "replication/own_thread.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include "libmeta_os/raw_syscall.h"
#include "libmeta_os/real_calls.h"
#include "replication/replica.h"

namespace auxin::replication {

void start_own_thread(void* (*run)(void*)) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  sigset_t all, before;
  sigfillset(&all);
  os::real().pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = os::real().pthread_create(&thread, &attributes, run, nullptr);
  os::real().pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error != 0)
    replica->leave_group(Role::kDead, "a replica's own threads can't be started: too many threads");
}

void name_own_thread(const char* name) {
  os::raw_syscall(SYS_prctl, PR_SET_NAME, reinterpret_cast<long>(name));
}

}  // namespace auxin::replication
