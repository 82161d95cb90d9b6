// SPDX-License-Identifier: Apache-2.0
#include "replication/activity.h"

namespace auxin::replication {
namespace {

struct ThreadState {
  Activity own;
  Activity request;
  ResolveRequest resolve = nullptr;
  bool in_request = false;
};
thread_local constinit ThreadState state;

}  // namespace

Activity* current_activity() {
  if (!state.in_request) return &state.own;
  if (state.request.id == 0 && state.resolve != nullptr) state.request.id = state.resolve();
  return &state.request;
}

void set_thread_activity(uint64_t id) { state.own = Activity{id, 0, 0}; }

void begin_request(ResolveRequest resolve) {
  state.request = Activity{};
  state.resolve = resolve;
  state.in_request = true;
}

void end_request() {
  state.in_request = false;
  state.resolve = nullptr;
}

bool in_request() { return state.in_request; }

}  // namespace auxin::replication
