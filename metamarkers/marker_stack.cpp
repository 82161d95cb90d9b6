// SPDX-License-Identifier: Apache-2.0
//
// The per-thread stack of meta-markers. Stacks grow towards lower addresses: a frame is gone when
// its address lies below the current stack pointer.
#include "metamarkers/marker_stack.h"

#include <csignal>

namespace auxin::markers {

thread_local constinit MarkerStack stack_of_this_thread;

namespace {

// On an alternate signal stack addresses say nothing about the frames of the interrupted code.
// Asked only when something seems to be stale, which is rare, so the system call does not matter.
bool on_alternate_stack() {
  stack_t now;
  return sigaltstack(nullptr, &now) == 0 && (now.ss_flags & SS_ONSTACK) != 0;
}

}  // namespace

void MarkerStack::pop_from_below(uintptr_t frame) {
  if (overflow_ > 0 && depth_ > 0 && frame < markers_[depth_ - 1].frame) {
    --overflow_;
    return;
  }
  for (int index = depth_ - 1; index >= 0 && markers_[index].frame <= frame; --index) {
    if (markers_[index].frame == frame) {
      depth_ = index;
      overflow_ = 0;
      return;
    }
  }
}

void MarkerStack::drop_to(uintptr_t frame) {
  if (on_alternate_stack()) return;
  while (depth_ > 0 && markers_[depth_ - 1].frame <= frame) --depth_;
  overflow_ = 0;
}

[[gnu::noinline]] void MarkerStack::drop_stale() {
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  if (depth_ > 0 && markers_[depth_ - 1].frame < here) unwind_to(here - 1);
}

const Marker* MarkerStack::innermost(Role role) {
  drop_stale();
  for (int index = depth_ - 1; index >= 0; --index) {
    if (markers_[index].role == role) return &markers_[index];
  }
  return nullptr;
}

const Marker* MarkerStack::top() {
  drop_stale();
  return depth_ > 0 ? &markers_[depth_ - 1] : nullptr;
}

}  // namespace auxin::markers
