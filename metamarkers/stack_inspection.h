// SPDX-License-Identifier: Apache-2.0
//
// Who called? The return addresses on the calling thread's stack, through libunwind, which is
// loaded privately (dlopen, RTLD_LOCAL): the server's exceptions keep their own unwinder. Where
// libunwind can't be loaded: through glibc's backtrace, and `stack_inspection_method` says so.
// Neither has a descriptor open (address_check.h).
//
// Thread safety: prepare once, before other threads call; callers() from any thread. libunwind
// takes locks of libpthread and glibc's backtrace the linker's: where these are hooked, the caller
// holds the guard against recursion. Source: paper 004, slide 20 (backtracking the computation).
#pragma once

#include <cstddef>
#include <cstdint>

namespace auxin::markers {

inline constexpr size_t kMaxInspectedFrames = 128;  // deeper frames are not looked at

// Loads libunwind. Call once before hooks use callers(); not in a hook. Idempotent.
void prepare_stack_inspection();
const char* stack_inspection_method();  // "libunwind", "backtrace", or "none" before preparation

// Fills `addresses` with up to `capacity` return addresses, innermost caller first, starting
// with the caller of callers(), and returns how many. Frames of libauxin itself (hooks, stubs) are
// left out. No malloc after preparation (libunwind maps a cache per thread on its first use);
// about 0.1 µs for 17 frames with libunwind, 2 µs with backtrace. Unprepared: 0.
size_t callers(void** addresses, size_t capacity);

// A return address and the word of the stack that holds it. Whoever remembers a stack's frames sees
// by reading these words whether the stack is still the same one.
struct StackFrame {
  const void* return_address;
  uintptr_t slot;
};

// The same with the words, about 1 µs a frame. Without libunwind: 0.
size_t caller_frames(StackFrame* frames, size_t capacity);

}  // namespace auxin::markers
