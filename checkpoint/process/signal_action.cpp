// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/signal_action.h"

#include "libmeta_os/raw_syscall.h"

// What a handler returns to. The instructions are exactly those by which unwinders (libgcc, gdb)
// know a signal frame, so that a cancelled thread's stack can be unwound through a handler.
extern "C" void auxin_signal_return();
asm(R"(
  .text
  .globl auxin_signal_return
  .hidden auxin_signal_return
  .type auxin_signal_return, @function
  nop
auxin_signal_return:
  mov $15, %rax
  syscall
  .size auxin_signal_return, . - auxin_signal_return
)");

namespace auxin::checkpoint {

KernelSignalAction handler_action(void (*handler)(int, siginfo_t*, void*)) {
  constexpr uint64_t kRestorer = 0x04000000;
  return {reinterpret_cast<uint64_t>(handler), SA_SIGINFO | SA_RESTART | kRestorer,
          reinterpret_cast<uint64_t>(&auxin_signal_return), ~0ull};
}

bool exchange_signal_action(int signal, const KernelSignalAction* next,
                            KernelSignalAction* before) {
  return os::raw_syscall(SYS_rt_sigaction, signal, reinterpret_cast<long>(next),
                         reinterpret_cast<long>(before), 8) == 0;
}

}  // namespace auxin::checkpoint
