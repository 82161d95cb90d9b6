// SPDX-License-Identifier: Apache-2.0
//
// A futex call by the instruction: nothing is imported for it.
#include <linux/futex.h>
#include <sys/syscall.h>

static int word;

extern "C" long wake_all() {
  long result = SYS_futex;
  register long deadline asm("r10") = 0;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(&word), "S"(FUTEX_WAKE), "d"(1), "r"(deadline)
               : "rcx", "r11", "memory");
  return result;
}
