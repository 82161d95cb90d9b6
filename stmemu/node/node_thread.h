// SPDX-License-Identifier: Apache-2.0
//
// The thread by which a process is a processor of a stable node (stm_node.h). It holds the lock of
// its seat in the board; while its process has the memory it beats, and hands over when asked; else
// it blocks on the lock of the seat that has it, and takes over what the kernel gives it.
//
// Everything that changes in the board is changed by this thread, so the lock of a seat that is
// free says that its process changes nothing any more. README.md has the table of states;
// node_step.def says what a death at each step leaves behind.
//
// Thread safety: the public functions, any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "auxin/stm_node.h"
#include "stmemu/interface/memory_core.h"

namespace auxin::stm {

class StableNode::Thread {
 public:
  Thread(std::shared_ptr<MemoryCore> core, Role role, NodeOptions options);
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread();

  // Starts; returns when the role is taken and it is known who has the memory. Throws Failure.
  void start();
  // Throws Failure kBusy if it stays.
  void leave();

  bool wait_for(NodeState state, uint32_t timeout_ms);
  bool active() const;
  void beat();
  void ask();
  NodeReport report();
  // Whether this is a fork of the process that has the role.
  bool forked() const;

 private:
  enum class Joining : uint8_t { kNotYet, kDone, kFailed };
  struct Predecessor {  // the process that had this seat before and died in it
    uint32_t process;
    uint64_t started_ticks;
  };

  NodeWords& words() const { return core_->physical.board().node; }
  Seat& own_seat() const { return words().seats[seat_]; }
  Seat& other_seat() const { return words().seats[1 - seat_]; }
  uint64_t holder() const { return words().holder.load(std::memory_order_acquire); }

  void run();
  bool take_seat();
  void name_seat();
  void hold(uint64_t word);
  void watch(uint64_t word);
  void begin_with(uint64_t word);
  void watch_for_hang(uint64_t word, uint32_t round_us);
  void take_over(uint64_t word, uint64_t started_ticks);
  bool hand_over(uint64_t word);
  bool try_to_leave();

  bool close_and_wait(uint64_t word);
  void give(uint64_t word);
  void stop_asking();
  void notify(NodeState state);
  void warn(const NodeNotice& notice);
  void joined();
  bool fail_joining(Status status, const std::string& why);
  void be_prompt(int priority);
  void ring();
  void sleep(uint32_t bell, uint32_t timeout_us);
  bool other_is_there() const { return other_seat().lock.seems_held(); }
  void beat_by_node();
  uint32_t round_us() const;

  const std::shared_ptr<MemoryCore> core_;
  const NodeOptions options_;
  const uint32_t seat_;     // 0: primary's
  const uint32_t process_;  // this one
  std::thread thread_;

  // --- the thread's own ---
  Predecessor before_ = {0, 0};
  uint64_t joined_ns_ = 0;
  uint64_t watched_ = 0;         // whose beats are counted (HolderWord),
  uint64_t watched_beat_ = 0;    // the last one seen,
  uint64_t silent_us_ = 0;       // and for how much of this thread's time there was no other
  uint64_t again_ns_ = 0;        // when a hand-over that was put off is tried again
  bool killed_ = false;          // the process that has the memory, for not beating
  int priority_ = 0;             // real-time; 0: none
  bool seen_holder_ = false;     // a process had the memory since this one joined
  bool asked_ = false;           // the other one has been asked, and has not answered yet

  // --- shared with callers, under mutex_ ---
  std::mutex mutex_;
  std::condition_variable changed_;
  NodeState state_ = NodeState::kStandby;
  Joining joining_ = Joining::kNotYet;
  Status failure_ = Status::kOk;
  std::string failure_sentence_;
  uint64_t leave_refusals_ = 0;
  uint64_t put_off_ = 0;

  std::atomic<bool> leaving_{false};
  std::atomic<bool> asking_;
};

}  // namespace auxin::stm
