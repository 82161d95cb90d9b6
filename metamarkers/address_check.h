// SPDX-License-Identifier: Apache-2.0
//
// libunwind checks whether an address can be read by writing the byte there into a pipe. It makes
// the pipe on its first use, on the lowest free descriptor numbers, and makes it again when
// somebody has closed it (or reads and writes what has the numbers now). A program whose
// descriptors must have the numbers that they have without us can't have that: libunwind is given
// a pipe that is none, and the kernel is asked about the address directly.
//
// Thread safety: use_descriptorless_checks as markers::install(); the rest from any thread.
#pragma once

#include <cstdint>

namespace auxin::markers {

// Points the references of the module that holds `function` (libunwind's) to what it makes and
// uses its pipe with at stand-ins, before libunwind first looks at a stack. False: they are not all
// there to be replaced, and nothing is changed.
bool use_descriptorless_checks(const void* function);

// Is it one of the stand-ins? They are libauxin's, but no hooks: see rebind().
bool is_stand_in(uintptr_t function);

// Can the byte at `address` be read? Makes one system call, keeps errno.
bool is_readable(const void* address);

}  // namespace auxin::markers
