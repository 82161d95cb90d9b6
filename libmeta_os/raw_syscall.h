// SPDX-License-Identifier: Apache-2.0
//
// A system call by its instruction: no libc, no errno, no cancellation point, no hook.
//
// Thread safety: any thread, in any hook or signal handler.
#pragma once

#include <sys/syscall.h>

namespace auxin::os {

// The kernel's own result: -errno on failure.
inline long raw_syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                        long f = 0) {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

}  // namespace auxin::os
