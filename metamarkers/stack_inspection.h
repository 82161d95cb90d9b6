// SPDX-License-Identifier: Apache-2.0
//
// Who called? The return addresses on the calling thread's stack, through libunwind, which is
// loaded privately (dlopen, RTLD_LOCAL): the server's exceptions keep their own unwinder. Where
// libunwind can't be loaded: by frame pointers and glibc's backtrace, and `available` says so.
//
// Source: paper 004, slide 20 (backtracking the computation; stack inspection).
#pragma once

#include <cstddef>

namespace auxin::markers {

// Loads libunwind. Call once before hooks use callers(); not in a hook.
void prepare_stack_inspection();
const char* stack_inspection_method();  // "libunwind" or "backtrace"

// Fills `addresses` with up to `capacity` return addresses, innermost caller first, starting
// with the caller of callers(). Allocates nothing after preparation; about 0.1 µs for 17 frames.
size_t callers(void** addresses, size_t capacity);

}  // namespace auxin::markers
