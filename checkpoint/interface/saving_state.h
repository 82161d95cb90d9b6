// SPDX-License-Identifier: Apache-2.0
//
// A state with everything that the public header promises of it: calls from any thread, saves that
// go on after the pause, a schedule.
//
// One lock for what is named and captured; it is not held while a store works. A save is under way
// from its capture until its message is kept; there is one at a time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "checkpoint/interface/handles.h"
#include "checkpoint/state/arena.h"
#include "checkpoint/state/named_state.h"

struct auxin_checkpoint_arena
    : auxin::checkpoint::Handle<auxin::checkpoint::HandleKind::kArena> {
  explicit auxin_checkpoint_arena(std::unique_ptr<auxin::checkpoint::Arena> of)
      : arena(std::move(of)) {}
  std::unique_ptr<auxin::checkpoint::Arena> arena;
};

namespace auxin::checkpoint {

class SavingState {
 public:
  SavingState(std::unique_ptr<NamedState> named, uint32_t rounds, uint32_t base_every)
      : named_(std::move(named)), rounds_(rounds), base_every_(base_every) {}
  ~SavingState();

  // Runs `work(NamedState&)` under the lock.
  template <typename Work>
  auto with(Work&& work) {
    const std::lock_guard lock(mutex_);
    return work(*named_);
  }
  Outcome create_arena(uint64_t id, uint64_t size_bytes, auxin_checkpoint_arena** arena);
  Outcome remove(uint64_t id);
  Outcome capture(CaptureKind kind);

  Outcome save(auxin_checkpoint_store& store);
  Outcome save_begin(auxin_checkpoint_store& store);
  Outcome save_wait();
  Outcome restore(auxin_checkpoint_store& store);
  Outcome schedule(auxin_checkpoint_store* store, uint64_t requests, uint64_t milliseconds);
  Outcome request_done();

  void get_statistics(struct auxin_checkpoint_statistics* statistics);

 private:
  // Of a save that this thread or the worker then finishes.
  Outcome begin(auxin_checkpoint_store& store, bool wait_for_other);
  Outcome finish();
  void tell_of_capture(const Outcome& outcome);
  Outcome keep(Expected<ByteBuffer> message, MessageStore& store);
  void work();
  void tick(uint64_t milliseconds);
  void stop_timer();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<NamedState> named_;
  std::map<uint64_t, std::unique_ptr<auxin_checkpoint_arena>> arenas_;
  const uint32_t rounds_, base_every_;

  MessageStore* saving_to_ = nullptr;     // a save is under way
  MessageStore* last_store_ = nullptr;    // which has the chain's last message …
  bool chain_is_broken_ = false;          // … or not: a base must come
  ByteBuffer unkept_;                     // a message that the store did not take; used by finish()
  uint32_t since_base_ = 0;
  Outcome last_save_;
  uint64_t saves_ = 0, failed_saves_ = 0;

  std::thread worker_;
  bool worker_has_work_ = false, worker_ends_ = false;

  std::mutex schedule_mutex_;             // one change of the schedule at a time
  std::thread timer_;
  bool timer_ends_ = false;
  std::atomic<auxin_checkpoint_store*> scheduled_store_{nullptr};
  std::atomic<uint64_t> every_requests_{0}, requests_{0};
};

}  // namespace auxin::checkpoint

struct auxin_checkpoint_state
    : auxin::checkpoint::Handle<auxin::checkpoint::HandleKind::kState> {
  auxin_checkpoint_state(std::unique_ptr<auxin::checkpoint::NamedState> named, uint32_t rounds,
                         uint32_t base_every)
      : state(std::move(named), rounds, base_every) {}
  auxin::checkpoint::SavingState state;
};
