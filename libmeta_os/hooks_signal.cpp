// SPDX-License-Identifier: Apache-2.0
//
// Hooks: signals. Seams only: masks, waiting and sending pass straight to libc. When a signal
// arrives is nothing that a style can order; hook_table.def says so for each.
#include "libmeta_os/hooks.h"

namespace auxin::os {

int hook::pthread_sigmask(int how, const sigset_t* set, sigset_t* old_set) {
  return real().pthread_sigmask(how, set, old_set);
}

int hook::sigprocmask(int how, const sigset_t* set, sigset_t* old_set) {
  return real().sigprocmask(how, set, old_set);
}

int hook::sigwait(const sigset_t* set, int* number) { return real().sigwait(set, number); }

int hook::sigwaitinfo(const sigset_t* set, siginfo_t* info) {
  return real().sigwaitinfo(set, info);
}

int hook::sigtimedwait(const sigset_t* set, siginfo_t* info, const timespec* timeout) {
  return real().sigtimedwait(set, info, timeout);
}

int hook::sigsuspend(const sigset_t* set) { return real().sigsuspend(set); }
int hook::pause() { return real().pause(); }
int hook::kill(pid_t pid, int number) { return real().kill(pid, number); }
int hook::killpg(pid_t group, int number) { return real().killpg(group, number); }

int hook::tgkill(pid_t group, pid_t thread, int number) {
  return real().tgkill(group, thread, number);
}

int hook::raise(int number) { return real().raise(number); }
int hook::pthread_kill(pthread_t thread, int number) { return real().pthread_kill(thread, number); }

int hook::sigqueue(pid_t pid, int number, const sigval value) {
  return real().sigqueue(pid, number, value);
}

int hook::pthread_sigqueue(pthread_t thread, int number, const sigval value) {
  return real().pthread_sigqueue(thread, number, value);
}

}  // namespace auxin::os
