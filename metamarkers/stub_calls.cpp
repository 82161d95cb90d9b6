// SPDX-License-Identifier: Apache-2.0
//
// The C++ halves of the stubs (stubs.S): what happens before and after an intercepted function.
//
// They run on the base level's stack in the middle of its calls: no allocation, errno kept, nothing
// noexcept (a thread may be cancelled inside an action, and is then unwound through here).
#include <atomic>
#include <cerrno>

#include "metamarkers/annotation.h"
#include "metamarkers/intercepted.h"
#include "metamarkers/marker_off.h"

namespace auxin::markers {

constinit Intercepted intercepted[kMaxJoinPoints] = {};

namespace {

constinit std::atomic<const Actions*> actions{nullptr};
constinit std::atomic<const Watch*> watch{nullptr};

class ErrnoKept {
 public:
  ErrnoKept() : saved_(errno) {}
  ~ErrnoKept() { errno = saved_; }
  ErrnoKept(const ErrnoKept&) = delete;
  ErrnoKept& operator=(const ErrnoKept&) = delete;

 private:
  int saved_;
};

}  // namespace

void set_actions(const Actions& new_actions) {
  actions.store(new Actions(new_actions), std::memory_order_release);
}

void set_watch(const Watch* new_watch) { watch.store(new_watch, std::memory_order_release); }

const Watch* watch_in_force() { return watch.load(std::memory_order_acquire); }

const Actions* actions_in_force() { return actions.load(std::memory_order_acquire); }

const char* join_point_name(uint16_t index) {
  if (index >= kFirstAnnotation) return annotation_name(index);
  if (index >= kMaxJoinPoints || intercepted[index].join_point == nullptr) return "";
  return intercepted[index].join_point->name.c_str();
}

extern "C" {

// Returns the function to call; null: none, the caller gets *skip_result.
[[gnu::visibility("hidden")]] uintptr_t auxin_stub_enter(uint32_t index, uintptr_t frame,
                                                         Arguments* arguments,
                                                         uint64_t* skip_result) {
  const Intercepted& entry = intercepted[index];
  const JoinPoint& join_point = *entry.join_point;
  MarkerStack& stack = this_thread();
  stack.unwind_to(frame);  // whatever was put at this frame before was jumped over
  stack.push(join_point.role, static_cast<uint16_t>(index),
             arguments->integer[0] + static_cast<uint64_t>(join_point.argument_offset), frame);
  const Actions* now = actions_in_force();
  if (now != nullptr && now->enter != nullptr && (now->enter_at & role_bit(join_point.role)) != 0) {
    ErrnoKept errno_kept;
    MarkerOff marker_off(frame);
    *skip_result = join_point.skip_result;
    if (!now->enter(join_point, *arguments, skip_result)) return 0;
    marker_off.disarm();
  }
  if (const Watch* watching = watch_in_force(); watching != nullptr) [[unlikely]] {
    ErrnoKept errno_kept;
    watching->entered(join_point, static_cast<uint16_t>(index), *arguments);
  }
  return entry.original;
}

[[gnu::visibility("hidden")]] void auxin_stub_leave(uint32_t index, uintptr_t frame,
                                                    uint64_t result) {
  MarkerOff marker_off(frame);
  const Actions* now = actions_in_force();
  const JoinPoint& join_point = *intercepted[index].join_point;
  if (now != nullptr && now->leave != nullptr && (now->leave_at & role_bit(join_point.role)) != 0) {
    ErrnoKept errno_kept;
    now->leave(join_point, result);
  }
  if (const Watch* watching = watch_in_force(); watching != nullptr) [[unlikely]] {
    ErrnoKept errno_kept;
    watching->left(join_point, static_cast<uint16_t>(index));
  }
}

[[gnu::visibility("hidden")]] void auxin_stub_unwind(uint32_t index, uintptr_t frame) {
  auxin_stub_leave(index, frame, 0);
}

}  // extern "C"

}  // namespace auxin::markers
