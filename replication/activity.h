// SPDX-License-Identifier: Apache-2.0
//
// Activities: logical flows of control with the same identity in every replica.
//
// A request is an activity, named by its connection and its ordinal there. The main thread is one,
// and so is each thread that the application starts, named by who started it and as the
// how-many-th.
// The ORB's own threads have none while they work for no request. Decisions are numbered within an
// activity (step), so they need no address and no thread to be recognised in another replica.
//
// Thread safety: an Activity is used by one thread at a time, the one that runs it.
// Source: paper 004, slide 35 (which thread executes which request does not matter).
#pragma once

#include <cstdint>

namespace auxin::replication {

inline constexpr uint64_t kThreadActivityBit = 1ull << 63;
inline constexpr uint64_t kMainActivity = kThreadActivityBit | 1;
inline constexpr int kOrdinalBits = 36;

struct Activity {
  uint64_t id = 0;        // 0: none
  uint32_t step = 0;      // decisions so far
  uint32_t children = 0;  // threads started so far
};

inline uint64_t request_activity_id(uint64_t connection, uint64_t ordinal) {
  return connection << kOrdinalBits | (ordinal & ((1ull << kOrdinalBits) - 1));
}
inline bool is_request(uint64_t id) { return id != 0 && (id & kThreadActivityBit) == 0; }
inline uint64_t activity_connection(uint64_t id) { return id >> kOrdinalBits; }
inline uint64_t activity_ordinal(uint64_t id) { return id & ((1ull << kOrdinalBits) - 1); }

// The name of the `ordinal`-th thread that `parent` starts (splitmix64 of both).
inline uint64_t thread_activity_id(uint64_t parent, uint32_t ordinal) {
  uint64_t z = parent * 0x9E3779B97F4A7C15ull + ordinal;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  z ^= z >> 31;
  return kThreadActivityBit | (z << 1 >> 1 << 1);  // even: never kMainActivity
}

// What the calling thread works on now; id 0 for an ORB thread between requests. Never null.
inline Activity* current_activity();

// The thread's own activity, below any request. Set once when the thread starts.
void set_thread_activity(uint64_t id);

// Enters and leaves a request on this thread. `resolve` is called once, when the identity is first
// needed (GIOP 1.0 and 1.1 know it late); it may return 0: not yet known.
using ResolveRequest = uint64_t (*)();
void begin_request(ResolveRequest resolve);
void end_request();
inline bool in_request();

// The calling thread's, for the functions of this header only.
struct ThreadState {
  Activity own;
  Activity request;
  ResolveRequest resolve = nullptr;
  bool in_request = false;
  Activity nameless;
};
extern thread_local constinit ThreadState thread_state;
extern constinit bool nameless_threads_decide;

inline Activity* current_activity() {
  if (!thread_state.in_request) return &thread_state.own;
  Activity& request = thread_state.request;
  if (request.id == 0 && thread_state.resolve != nullptr) request.id = thread_state.resolve();
  return &request;
}
inline bool in_request() { return thread_state.in_request; }

// From now on threads without an activity have their locks ordered too, under a name that no other
// replica would know: what ordering every lock costs can be measured so.
void let_nameless_threads_decide();
Activity* name_nameless_thread();

// For whom a lock is ordered: as current_activity(), but for the case above.
inline Activity* ordering_activity() {
  Activity* activity = current_activity();
  return activity->id == 0 && nameless_threads_decide ? name_nameless_thread() : activity;
}

}  // namespace auxin::replication
