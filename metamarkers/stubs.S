# SPDX-License-Identifier: Apache-2.0
#
# The stubs of intercepted functions (x86-64, System V ABI).
#
# A reference to the k-th intercepted function is pointed at stub k. The stub puts k into r11, which
# the ABI gives to linkage code, and goes to the common body; to the caller both look like the
# function. The body saves every register that can carry an argument (the six integer ones, rax with
# the count of vector registers of a variadic call, r10 with a static chain, xmm0-7), asks
# auxin_stub_enter for the function's address, calls it from its own frame, saves every register
# that can carry a result (rax, rdx, xmm0, xmm1; st(0) and st(1) are not touched by what comes
# after), and tells auxin_stub_leave.
#
# An unwinder finds a cleanup for the call of the function (the table at the end): it runs
# auxin_stub_unwind and goes on. Nothing is caught, so an exception that nobody catches still ends
# the process where it was thrown.
#
# Frame of the body, below rbp (rsp is a multiple of 16 at every call):
#   -8    index of the stub        -16   the exception in flight
#   -24   skip result              -32   (padding)
#   -80   rdi rsi rdx rcx r8 r9 as struct Arguments, from -80 upwards
#   -96   r10, rax                 -224  xmm0-7
#   results of the function reuse -80 (rax, rdx) and -224 (xmm0, xmm1)

  .set kMaxJoinPoints, 128

  .text
  .p2align 4
  .globl auxin_stubs
  .hidden auxin_stubs
  .type auxin_stubs, @function
auxin_stubs:
  .cfi_startproc
  .set index, 0
  .rept kMaxJoinPoints
    .p2align 4
    movl $index, %r11d
    jmp auxin_stub_body
    .set index, index + 1
  .endr
  .cfi_endproc
  .size auxin_stubs, . - auxin_stubs

  .p2align 4
  .globl auxin_stubs_end
  .hidden auxin_stubs_end
auxin_stubs_end:
  .type auxin_stub_body, @function
auxin_stub_body:
.Lbody:
  .cfi_startproc
  .cfi_personality 0x9b, DW.ref.__gcc_personality_v0   # indirect, pc-relative, 4 bytes
  .cfi_lsda 0x1b, .Lcleanups                           # pc-relative, 4 bytes
  pushq %rbp
  .cfi_def_cfa_offset 16
  .cfi_offset %rbp, -16
  movq %rsp, %rbp
  .cfi_def_cfa_register %rbp
  subq $224, %rsp

  movq %r11, -8(%rbp)
  movq %rdi, -80(%rbp)
  movq %rsi, -72(%rbp)
  movq %rdx, -64(%rbp)
  movq %rcx, -56(%rbp)
  movq %r8, -48(%rbp)
  movq %r9, -40(%rbp)
  movq %r10, -96(%rbp)
  movq %rax, -88(%rbp)
  movaps %xmm0, -224(%rbp)
  movaps %xmm1, -208(%rbp)
  movaps %xmm2, -192(%rbp)
  movaps %xmm3, -176(%rbp)
  movaps %xmm4, -160(%rbp)
  movaps %xmm5, -144(%rbp)
  movaps %xmm6, -128(%rbp)
  movaps %xmm7, -112(%rbp)

  # void* auxin_stub_enter(index, frame, const Arguments*, uint64_t* skip_result)
  movl %r11d, %edi
  leaq 16(%rbp), %rsi          # the caller's stack pointer at the call: the CFA
  leaq -80(%rbp), %rdx
  leaq -24(%rbp), %rcx
  call auxin_stub_enter
  testq %rax, %rax
  jz .Lskip
  movq %rax, %r11

  movq -80(%rbp), %rdi
  movq -72(%rbp), %rsi
  movq -64(%rbp), %rdx
  movq -56(%rbp), %rcx
  movq -48(%rbp), %r8
  movq -40(%rbp), %r9
  movq -96(%rbp), %r10
  movq -88(%rbp), %rax
  movaps -224(%rbp), %xmm0
  movaps -208(%rbp), %xmm1
  movaps -192(%rbp), %xmm2
  movaps -176(%rbp), %xmm3
  movaps -160(%rbp), %xmm4
  movaps -144(%rbp), %xmm5
  movaps -128(%rbp), %xmm6
  movaps -112(%rbp), %xmm7
.Lcall_begin:
  call *%r11
.Lcall_end:
  movq %rax, -80(%rbp)
  movq %rdx, -72(%rbp)
  movaps %xmm0, -224(%rbp)
  movaps %xmm1, -208(%rbp)

  # void auxin_stub_leave(index, frame, result)
  movl -8(%rbp), %edi
  leaq 16(%rbp), %rsi
  movq %rax, %rdx
  call auxin_stub_leave

  movq -80(%rbp), %rax
  movq -72(%rbp), %rdx
  movaps -224(%rbp), %xmm0
  movaps -208(%rbp), %xmm1
.Lreturn:
  .cfi_remember_state
  leave
  .cfi_def_cfa %rsp, 8
  ret

.Lskip:
  .cfi_restore_state
  movq -24(%rbp), %rax
  xorl %edx, %edx
  jmp .Lreturn

.Llanding:
  movq %rax, -16(%rbp)
  # void auxin_stub_unwind(index, frame)
  movl -8(%rbp), %edi
  leaq 16(%rbp), %rsi
  call auxin_stub_unwind
  movq -16(%rbp), %rdi
  call _Unwind_Resume@PLT
  ud2
  .cfi_endproc
  .size auxin_stub_body, . - auxin_stub_body

  .section .gcc_except_table, "a", @progbits
  .p2align 2
.Lcleanups:
  .byte 0xff                   # landing pads are relative to the function's start
  .byte 0xff                   # no types
  .byte 0x01                   # call sites in uleb128
  .uleb128 .Lsites_end - .Lsites
.Lsites:
  .uleb128 .Lcall_begin - .Lbody
  .uleb128 .Lcall_end - .Lcall_begin
  .uleb128 .Llanding - .Lbody
  .uleb128 0                   # a cleanup, no handler
.Lsites_end:

  .hidden DW.ref.__gcc_personality_v0
  .weak DW.ref.__gcc_personality_v0
  .section .data.rel.local.DW.ref.__gcc_personality_v0, "awG", @progbits, \
      DW.ref.__gcc_personality_v0, comdat
  .p2align 3
  .type DW.ref.__gcc_personality_v0, @object
  .size DW.ref.__gcc_personality_v0, 8
DW.ref.__gcc_personality_v0:
  .quad __gcc_personality_v0

  .section .note.GNU-stack, "", @progbits
