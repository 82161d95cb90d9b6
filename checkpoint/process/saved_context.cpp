// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/saved_context.h"

asm(R"(
  .text
  .globl auxin_save_context
  .hidden auxin_save_context
  .type auxin_save_context, @function
auxin_save_context:
  .cfi_startproc
  mov %rbx, 0(%rdi)
  mov %rbp, 8(%rdi)
  mov %r12, 16(%rdi)
  mov %r13, 24(%rdi)
  mov %r14, 32(%rdi)
  mov %r15, 40(%rdi)
  lea 8(%rsp), %rax
  mov %rax, 48(%rdi)
  mov (%rsp), %rax
  mov %rax, 56(%rdi)
  xor %eax, %eax
  ret
  .cfi_endproc
  .size auxin_save_context, . - auxin_save_context

  .globl auxin_continue_context
  .hidden auxin_continue_context
  .type auxin_continue_context, @function
auxin_continue_context:
  .cfi_startproc
  mov 0(%rdi), %rbx
  mov 8(%rdi), %rbp
  mov 16(%rdi), %r12
  mov 24(%rdi), %r13
  mov 32(%rdi), %r14
  mov 40(%rdi), %r15
  mov 48(%rdi), %rsp
  mov $1, %eax
  jmp *56(%rdi)
  .cfi_endproc
  .size auxin_continue_context, . - auxin_continue_context
)");
