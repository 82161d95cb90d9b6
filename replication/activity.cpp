// SPDX-License-Identifier: Apache-2.0
#include "replication/activity.h"

#include <atomic>

namespace auxin::replication {

thread_local constinit ThreadState thread_state;
constinit bool nameless_threads_decide = false;

void set_thread_activity(uint64_t id) { thread_state.own = Activity{id, 0, 0}; }

void begin_request(ResolveRequest resolve) {
  thread_state.request = Activity{};
  thread_state.resolve = resolve;
  thread_state.in_request = true;
}

void end_request() {
  thread_state.in_request = false;
  thread_state.resolve = nullptr;
}

void let_nameless_threads_decide() { nameless_threads_decide = true; }

Activity* name_nameless_thread() {
  static constinit std::atomic<uint32_t> names{0};
  Activity& activity = thread_state.nameless;
  if (activity.id == 0) activity.id = thread_activity_id(0, names.fetch_add(1) + 1);
  return &activity;
}

}  // namespace auxin::replication
