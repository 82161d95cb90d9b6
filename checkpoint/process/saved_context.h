// SPDX-License-Identifier: Apache-2.0
//
// The place where a parked thread goes on: in this process, or in another one that has its memory.
//
// What a function keeps for its caller, and no more: the rest of the thread's registers is in the
// kernel's signal frame on its stack. Not setjmp: glibc mangles the pointers, and the restorer that
// jumps here has no libc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace auxin::checkpoint {

struct SavedContext {
  uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip;
};
static_assert(offsetof(SavedContext, rip) == 56 && sizeof(SavedContext) == 64,
              "known to the assembler code");

}  // namespace auxin::checkpoint

// Returns 0; a second time, with 1, where auxin_continue_context goes on. The caller's frame must
// still be there then.
extern "C" int auxin_save_context(auxin::checkpoint::SavedContext* context)
    __attribute__((returns_twice));

// Does not return: the stack becomes the one that was current at auxin_save_context.
extern "C" [[noreturn]] void auxin_continue_context(
    const auxin::checkpoint::SavedContext* context);
