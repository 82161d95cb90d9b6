// SPDX-License-Identifier: Apache-2.0
//
// This process as a replica: its number, its group's memory and log, and its mode.
//
//   kFollower ──(leader dead, fenced)──▶ kPromoting ──(log consumed)──▶ kLeader
//
// A follower takes every free decision from the log. A promoting replica still does, from a log
// that nobody else extends any more; it becomes the leader by one store when the last logged
// decision has been consumed, so no free decision is made before every logged one is. A leader
// never goes back.
//
// Thread safety: mode() from any thread; the rest is set before the process has a second thread of
// the application's.
#pragma once

#include <atomic>
#include <cstdint>

#include "replication/group_state.h"
#include "replication/kernel_identity.h"
#include "stmemu/log/stable_log.h"
#include "stmemu/log/stable_memory.h"

namespace auxin::replication {

enum class Mode : uint32_t { kOff = 0, kFollower = 1, kPromoting = 2, kLeader = 3 };

class Replica {
 public:
  // Maps the group's memory named by the environment and takes this process's slot. Returns null
  // (and writes one sentence to descriptor 2) if it can't. Called once.
  // `by_itself`: what it stores there nobody else sees, and it meets no other replica.
  static Replica* join(const char* memory_path, int id, bool by_itself = false);

  Mode mode() const { return mode_.load(std::memory_order_acquire); }
  bool leads() const { return mode() == Mode::kLeader; }
  void set_mode(Mode mode) { mode_.store(mode, std::memory_order_release); }

  int id() const { return id_; }
  int pid() const { return pid_; }  // as the kernel knows this process
  GroupControl& control() { return *control_; }
  ReplicaSlot& slot() { return control_->replicas[id_]; }
  const Settings& settings() const { return control_->settings; }
  stm::StableLog& log() { return log_; }
  stm::StableMemory& memory() { return memory_; }
  char* landing(int connection_slot);

  // Makes sure that the calling thread holds a robust lock of its own in stable memory, which a
  // new leader's fence waits for. Every path to the log or to a replicated socket begins with it.
  // Cheap after the first time. Null only if more than kMaxThreads threads live (then the process
  // stops itself: an unfenced thread must not exist).
  ThreadSlot* enter() {
    if (thread_slot != nullptr) [[likely]] return thread_slot;
    return enter_first();
  }

  // In a restored process, on its main thread before any other: which replica it is from now on.
  void become(int id);
  // On each thread there: takes a lock in stable memory again if it had one.
  static void enter_again();
  // What every replica enters in its slot before it has a role, its pid last.
  void enter_slot();

  // This replica can't go on: notes why in its slot and ends the process at once, without running
  // anything of the application's. kDiverged: it will be restarted and replay the log.
  [[noreturn]] void leave_group(Role role, const char* reason);

 private:
  Replica(stm::StableMemory&& memory, int id);
  ThreadSlot* enter_first();

  static thread_local constinit ThreadSlot* thread_slot;  // the calling thread's

  stm::StableMemory memory_;
  GroupControl* control_;
  stm::StableLog log_;
  int id_;
  int pid_;
  std::atomic<Mode> mode_{Mode::kOff};
};

// The process's replica; null: the process is none (bare preload, or not yet).
extern Replica* replica;

// True in a replica after it took a role.
inline bool replicated() { return replica != nullptr && replica->mode() != Mode::kOff; }

// Adds a line to the group's list of things that are not supported, once per text.
void note_unsupported(const char* text);

}  // namespace auxin::replication
