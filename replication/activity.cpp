// SPDX-License-Identifier: Apache-2.0
#include "replication/activity.h"

namespace auxin::replication {

thread_local constinit ThreadState thread_state;

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

}  // namespace auxin::replication
