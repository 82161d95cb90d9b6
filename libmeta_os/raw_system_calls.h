// SPDX-License-Identifier: Apache-2.0
//
// Raw system calls in a module's code: through syscall(3), and by the instruction.
//
// The number is the first thing that is loaded into the register (edi for the function, eax for
// the instruction), always as a constant in what compilers make of `syscall(SYS_futex, …)`. The
// code is not disassembled: a place counts if the bytes of a call of exactly that function, or of
// the instruction, come within some ten instructions after the bytes of such a load.
//
// Thread safety: any thread, while the module stays loaded.
#pragma once

#include <cstdint>

#include "metamarkers/elf_modules.h"

namespace auxin::os {

// Once for each place; x86-64 numbers. Calls whose number is not a constant are not told.
void for_each_raw_system_call(const markers::ElfModule& module,
                              void (*visit)(uint32_t number, void* context), void* context);

}  // namespace auxin::os
