// SPDX-License-Identifier: Apache-2.0
//
// Signal dispositions as the kernel keeps them: glibc's sigaction refuses its own two signals and
// hides the restorer.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include <cstdint>

namespace auxin::checkpoint {

struct KernelSignalAction {
  uint64_t handler;   // 0: SIG_DFL, 1: SIG_IGN
  uint64_t flags;
  uint64_t restorer;
  uint64_t mask;
};

// For a handler that runs with every signal blocked, on the thread's own stack; interrupted calls
// are restarted where the kernel can.
KernelSignalAction handler_action(void (*handler)(int, siginfo_t*, void*));

// Either may be null. False: the kernel refuses (a number out of range, SIGKILL, SIGSTOP).
bool exchange_signal_action(int signal, const KernelSignalAction* next,
                            KernelSignalAction* before);

}  // namespace auxin::checkpoint
