// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/forked_writer.h"

#include <errno.h>
#include <linux/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>

#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {

using os::raw_syscall;

namespace {

void close_all_but(int kept) {
  if (kept > 0) raw_syscall(SYS_close_range, 0, kept - 1, 0);
  raw_syscall(SYS_close_range, kept + 1, static_cast<long>(UINT32_MAX), 0);
}

}  // namespace

long ForkedWriter::start(long (*work)(void*), void* context, int kept) {
  const long parent = raw_syscall(SYS_getpid);
  const long process = raw_syscall(SYS_clone, 0);  // no SIGCHLD: that is the program's
  if (process == 0) {
    raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
    close_all_but(kept);
    // The parent may have died before the child could say that it wants to die with it.
    const long error = raw_syscall(SYS_getppid) == parent ? work(context) : -ESRCH;
    for (;;) raw_syscall(SYS_exit_group, -error);
  }
  if (process < 0) return process;
  process_ = process;
  return 0;
}

long ForkedWriter::wait() {
  int status = 0;
  long got;
  do {
    got = raw_syscall(SYS_wait4, process_, reinterpret_cast<long>(&status), __WALL, 0);
  } while (got == -EINTR);
  process_ = 0;
  if (got < 0) return got;
  return WIFEXITED(status) ? -static_cast<long>(WEXITSTATUS(status)) : kKilled;
}

void ForkedWriter::kill_and_wait() {
  if (!runs()) return;
  raw_syscall(SYS_kill, process_, SIGKILL);
  wait();
}

}  // namespace auxin::checkpoint
