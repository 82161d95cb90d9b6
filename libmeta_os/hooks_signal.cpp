// SPDX-License-Identifier: Apache-2.0
//
// Hooks: signals. A thread that waits for a signal takes it as a value, through ValueFacet. The
// rest are seams only: masks and sending pass straight to libc, and when a handler runs is nothing
// that a style can order; so handlers that may run while the server serves are told.
#include <errno.h>

#include "libmeta_os/hooks.h"
#include "libmeta_os/raw_syscall.h"
#include "libmeta_os/reify.h"
#include "libmeta_os/signal_names.h"
#include "libmeta_os/thread_numbers.h"

namespace auxin::os {
namespace {

// A program may send itself a signal by the number that getpid gave it.
pid_t target_of(pid_t pid, CallSite site) {
  return kernels_pid(value_wanted(site) ? facets.values->target_of(pid) : pid);
}

// Async-signal-safe: a handler may install another one.
void tell_handler(int number, const void* handler) {
  if (facets.process == nullptr || at_meta_level() || !handler_matters(number, handler)) return;
  facets.process->unsupported(Unsupported::kSignalHandler, signal_name(number), {handler});
}

}  // namespace

int hook::pthread_sigmask(int how, const sigset_t* set, sigset_t* old_set) {
  return real().pthread_sigmask(how, set, old_set);
}

int hook::sigprocmask(int how, const sigset_t* set, sigset_t* old_set) {
  return real().sigprocmask(how, set, old_set);
}

int hook::sigwait(const sigset_t* set, int* number) {
  if (!value_wanted(AUXIN_CALL_SITE)) return real().sigwait(set, number);
  const int saved_errno = errno;  // this form returns its error, and goes on after a handler
  int taken;
  do {
    taken = facets.values->wait_for_signal(set, nullptr, nullptr, AUXIN_CALL_SITE);
  } while (taken < 0 && errno == EINTR);
  const int error = taken < 0 ? errno : 0;
  errno = saved_errno;
  if (error == 0) *number = taken;
  return error;
}

int hook::sigwaitinfo(const sigset_t* set, siginfo_t* info) {
  if (!value_wanted(AUXIN_CALL_SITE)) return real().sigwaitinfo(set, info);
  return facets.values->wait_for_signal(set, info, nullptr, AUXIN_CALL_SITE);
}

int hook::sigtimedwait(const sigset_t* set, siginfo_t* info, const timespec* timeout) {
  if (!value_wanted(AUXIN_CALL_SITE)) return real().sigtimedwait(set, info, timeout);
  return facets.values->wait_for_signal(set, info, timeout, AUXIN_CALL_SITE);
}

int hook::sigsuspend(const sigset_t* set) { return real().sigsuspend(set); }
int hook::pause() { return real().pause(); }

int hook::kill(pid_t pid, int number) {
  return real().kill(target_of(pid, AUXIN_CALL_SITE), number);
}

int hook::killpg(pid_t group, int number) { return real().killpg(group, number); }

int hook::tgkill(pid_t group, pid_t thread, int number) {
  return real().tgkill(target_of(group, AUXIN_CALL_SITE), thread, number);
}

int hook::raise(int number) { return real().raise(number); }
// With the error as its result, as the pthread functions have it.
int hook::pthread_kill(pthread_t thread, int number) {
  const int kernels = restored_number(thread);
  if (kernels == 0) return real().pthread_kill(thread, number);
  return static_cast<int>(-raw_syscall(SYS_tgkill, raw_syscall(SYS_getpid), kernels, number));
}

int hook::sigqueue(pid_t pid, int number, const sigval value) {
  return real().sigqueue(target_of(pid, AUXIN_CALL_SITE), number, value);
}

int hook::sigaction(int number, const struct sigaction* action, struct sigaction* old_action) {
  const int result = real().sigaction(number, action, old_action);
  if (result == 0 && action != nullptr) {
    tell_handler(number, reinterpret_cast<const void*>(action->sa_handler));
  }
  return result;
}

__sighandler_t hook::signal(int number, __sighandler_t handler) {
  const __sighandler_t before = real().signal(number, handler);
  if (before != SIG_ERR) tell_handler(number, reinterpret_cast<const void*>(handler));
  return before;
}

__sighandler_t hook::__sysv_signal(int number, __sighandler_t handler) {
  const __sighandler_t before = real().__sysv_signal(number, handler);
  if (before != SIG_ERR) tell_handler(number, reinterpret_cast<const void*>(handler));
  return before;
}

int hook::pthread_sigqueue(pthread_t thread, int number, const sigval value) {
  const int kernels = restored_number(thread);
  if (kernels == 0) return real().pthread_sigqueue(thread, number, value);
  siginfo_t info{};
  info.si_signo = number;
  info.si_code = SI_QUEUE;
  info.si_pid = static_cast<pid_t>(raw_syscall(SYS_getpid));
  info.si_uid = static_cast<uid_t>(raw_syscall(SYS_getuid));
  info.si_value = value;
  return static_cast<int>(-raw_syscall(SYS_rt_tgsigqueueinfo, info.si_pid, kernels, number,
                                       reinterpret_cast<long>(&info)));
}

}  // namespace auxin::os
