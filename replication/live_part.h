// SPDX-License-Identifier: Apache-2.0
//
// Parts of a leader's work that a checkpoint of the leader must know of.
//
// A process that is restored from a leader's image is a follower: what the leader was just deciding
// there, the log decides here. So a thread says where it is:
//
//   kFree       anywhere else. What it decides freely it asks about before it is logged
//               (Decision::begin_logging): in a restored process it undoes it and follows.
//   kWaits      in a system call that a follower must never make (receive, accept, poll): in a
//               restored process it comes back with EINTR, and the thread looks again.
//   kPublishes  between a look at who leads and the last effect that depends on it: log entries,
//               bytes given to the kernel. No image is taken while a thread is there.
//
// The words are read by the saver, with the threads stopped. They cost two stores to thread-local
// memory. Thread safety: each thread its own.
#pragma once

#include <atomic>
#include <cstdint>

#include "replication/replica.h"

namespace auxin::replication {

enum class LiveState : uint32_t { kFree = 0, kWaits = 1, kPublishes = 2 };

extern thread_local constinit std::atomic<LiveState> live_state;  // the calling thread's

inline LiveState live_state_now() { return live_state.load(std::memory_order_relaxed); }

inline void set_live_state(LiveState state) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  live_state.store(state, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

// One such part, the innermost of which never lessens what an outer one says.
class LivePart {
 public:
  explicit LivePart(LiveState state = LiveState::kPublishes) : before_(live_state_now()) {
    if (state > before_) set_live_state(state);
  }
  ~LivePart() { set_live_state(before_); }
  LivePart(const LivePart&) = delete;
  LivePart& operator=(const LivePart&) = delete;

  // False: this process follows, perhaps since a moment ago.
  bool leads() const { return replica->leads(); }

 private:
  LiveState before_;
};

// A rest within such a part: what it has done so far stands, whatever this process is afterwards.
class LiveRest {
 public:
  explicit LiveRest(LiveState state) : before_(live_state_now()) { set_live_state(state); }
  ~LiveRest() { set_live_state(before_); }
  LiveRest(const LiveRest&) = delete;
  LiveRest& operator=(const LiveRest&) = delete;

 private:
  LiveState before_;
};

}  // namespace auxin::replication
