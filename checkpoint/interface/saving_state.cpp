// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/interface/saving_state.h"

#include <algorithm>
#include <chrono>

#include "checkpoint/interface/call.h"
#include "checkpoint/log/event_log.h"
#include "checkpoint/message/merge.h"
#include "checkpoint/service_thread.h"

namespace auxin::checkpoint {

SavingState::~SavingState() {
  stop_timer();
  {
    const std::lock_guard lock(mutex_);
    worker_ends_ = true;
  }
  changed_.notify_all();
  if (worker_.joinable()) worker_.join();
  named_.reset();  // before the arenas that it tracks
}

Outcome SavingState::create_arena(uint64_t id, uint64_t size_bytes,
                                  auxin_checkpoint_arena** arena) {
  const std::lock_guard lock(mutex_);
  Expected<std::unique_ptr<Arena>> made = Arena::create(id, size_bytes);
  if (!made) return made.outcome();
  if (Outcome outcome = named_->add_range(id, (*made)->memory(), size_bytes); !outcome) {
    return outcome;
  }
  auto& kept = arenas_[id];
  kept.reset(new auxin_checkpoint_arena(std::move(*made)));
  *arena = kept.get();
  return Outcome::ok();
}

Outcome SavingState::remove(uint64_t id) {
  const std::lock_guard lock(mutex_);
  Outcome outcome = named_->remove(id);
  if (outcome) arenas_.erase(id);
  return outcome;
}

Outcome SavingState::capture(CaptureKind kind) {
  const std::lock_guard lock(mutex_);
  if (saving_to_ != nullptr) return failure(AUXIN_CHECKPOINT_BUSY, "a save is under way");
  // Its message goes wherever the caller wants: no store has it.
  chain_is_broken_ = true;
  Outcome outcome = named_->capture(kind, rounds_);
  tell_of_capture(outcome);
  return outcome;
}

void SavingState::tell_of_capture(const Outcome& outcome) {
  if (!EventLog::is_on()) return;
  auxin_checkpoint_record record{};
  record.event = AUXIN_CHECKPOINT_EVENT_CAPTURED;
  record.status = static_cast<uint16_t>(outcome.status);
  record.state = named_->position().state;
  record.sequence = named_->position().sequence;
  record.value = named_->statistics().last.pause_ns;
  EventLog::tell(record);
}

Outcome SavingState::begin(auxin_checkpoint_store& store, bool wait_for_other) {
  std::unique_lock lock(mutex_);
  if (wait_for_other) changed_.wait(lock, [&] { return saving_to_ == nullptr; });
  if (saving_to_ != nullptr) return failure(AUXIN_CHECKPOINT_BUSY, "a save is under way");
  const bool base = store.store.get() != last_store_ || chain_is_broken_ ||
                    (base_every_ != 0 && since_base_ + 1 >= base_every_);
  Outcome outcome = named_->capture(base ? CaptureKind::kBase : CaptureKind::kIncrement, rounds_);
  tell_of_capture(outcome);
  if (!outcome) return outcome;
  saving_to_ = store.store.get();
  return Outcome::ok();
}

// In the thread that saves, or the worker: the only one at a time.
Outcome SavingState::finish() {
  Outcome outcome;
  try {
    outcome = keep(with([](NamedState& named) { return named.message(); }), *saving_to_);
  } catch (const std::bad_alloc&) {
    chain_is_broken_ = true;
    outcome = failure(AUXIN_CHECKPOINT_NO_MEMORY, "no memory for a save");
  }
  const std::lock_guard lock(mutex_);
  ++(outcome ? saves_ : failed_saves_);
  last_store_ = saving_to_;
  saving_to_ = nullptr;
  last_save_ = outcome;
  changed_.notify_all();
  return outcome;
}

// What a store can't take for now waits, and goes with the next message.
Outcome SavingState::keep(Expected<ByteBuffer> message, MessageStore& store) {
  if (!message) return message.outcome();
  Expected<MessageView> view = MessageView::of(message->view());
  if (!view) return view.outcome();
  EventLog::tell_message(AUXIN_CHECKPOINT_EVENT_MADE, *view);
  if (view->is_base()) unkept_ = ByteBuffer();
  if (unkept_.size() != 0) {
    const Expected<MessageView> before = MessageView::of(unkept_.view());
    Expected<ByteBuffer> both = before ? merge(*before, *view) : before.outcome();
    unkept_ = ByteBuffer();
    if (!both) {
      chain_is_broken_ = true;
      return both.outcome();
    }
    message = std::move(both);
    view = MessageView::of(message->view());
    if (!view) return view.outcome();
  }
  const bool base = view->is_base();
  Outcome outcome = store.put(*view);
  EventLog::tell_message(AUXIN_CHECKPOINT_EVENT_KEPT, *view, outcome.status);
  if (outcome) {
    chain_is_broken_ = false;
    since_base_ = base ? 0 : since_base_ + 1;
  } else if (outcome.status == AUXIN_CHECKPOINT_NO_SPACE ||
             outcome.status == AUXIN_CHECKPOINT_INPUT_OUTPUT) {
    unkept_ = std::move(*message);
    chain_is_broken_ = false;
  } else {
    chain_is_broken_ = true;
  }
  return outcome;
}

Outcome SavingState::save(auxin_checkpoint_store& store) {
  if (Outcome outcome = begin(store, true); !outcome) return outcome;
  return finish();
}

Outcome SavingState::save_begin(auxin_checkpoint_store& store) {
  if (!worker_.joinable()) {
    const std::lock_guard lock(schedule_mutex_);
    if (!worker_.joinable()) worker_ = service_thread([this] { work(); });
  }
  if (Outcome outcome = begin(store, false); !outcome) return outcome;
  const std::lock_guard lock(mutex_);
  worker_has_work_ = true;
  changed_.notify_all();
  return Outcome::ok();
}

Outcome SavingState::save_wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return saving_to_ == nullptr; });
  return last_save_;
}

Outcome SavingState::restore(auxin_checkpoint_store& store) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return saving_to_ == nullptr; });
  Image image(store.max_image_bytes);
  if (Outcome outcome = store.store->read(&image); !outcome) return outcome;
  Outcome outcome = named_->restore(image);
  auxin_checkpoint_record record{};
  record.event = AUXIN_CHECKPOINT_EVENT_RESTORED;
  record.status = static_cast<uint16_t>(outcome.status);
  record.state = image.position().state;
  record.sequence = image.position().sequence;
  EventLog::tell(record);
  if (!outcome) return outcome;
  last_store_ = store.store.get();  // increments follow what it has
  chain_is_broken_ = false;
  unkept_ = ByteBuffer();
  // A process that is killed often must not make a chain without end.
  const uint64_t messages = store.store->report().messages;
  since_base_ = static_cast<uint32_t>(std::clamp<uint64_t>(messages, 1, UINT32_MAX) - 1);
  return Outcome::ok();
}

void SavingState::work() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return worker_has_work_ || worker_ends_; });
      if (!worker_has_work_) return;
      worker_has_work_ = false;
    }
    static_cast<void>(call([&] { return finish(); }));
  }
}

Outcome SavingState::schedule(auxin_checkpoint_store* store, uint64_t requests,
                              uint64_t milliseconds) {
  stop_timer();
  every_requests_ = 0;
  if (requests == 0 && milliseconds == 0) return Outcome::ok();
  if (store == nullptr) return wrong_call("a schedule needs a store");
  scheduled_store_ = store;
  requests_ = 0;
  every_requests_ = requests;
  if (milliseconds == 0) return Outcome::ok();
  const std::lock_guard lock(schedule_mutex_);
  timer_ends_ = false;
  timer_ = service_thread([this, milliseconds] { tick(milliseconds); });
  return Outcome::ok();
}

void SavingState::stop_timer() {
  const std::lock_guard schedule(schedule_mutex_);
  {
    const std::lock_guard lock(mutex_);
    timer_ends_ = true;
  }
  changed_.notify_all();
  if (timer_.joinable()) timer_.join();
}

void SavingState::tick(uint64_t milliseconds) {
  auto due = std::chrono::steady_clock::now();
  for (;;) {
    due += std::chrono::milliseconds(milliseconds);
    {
      std::unique_lock lock(mutex_);
      if (changed_.wait_until(lock, due, [&] { return timer_ends_; })) return;
      if (saving_to_ != nullptr) continue;
    }
    static_cast<void>(call([&] { return save(*scheduled_store_.load()); }));
    due = std::max(due, std::chrono::steady_clock::now());
  }
}

Outcome SavingState::request_done() {
  const uint64_t every = every_requests_.load(std::memory_order_relaxed);
  if (every == 0) return Outcome::ok();
  if ((requests_.fetch_add(1, std::memory_order_relaxed) + 1) % every != 0) return Outcome::ok();
  Outcome outcome = save_begin(*scheduled_store_.load());
  if (outcome.status == AUXIN_CHECKPOINT_BUSY) return Outcome::ok();
  return outcome;
}

void SavingState::get_statistics(struct auxin_checkpoint_statistics* to) {
  const std::lock_guard lock(mutex_);
  const StateStatistics& from = named_->statistics();
  const CaptureReport& last = from.last;
  to->method = static_cast<uint32_t>(named_->method());
  to->reason = last.reason;
  to->bases = from.bases;
  to->increments = from.increments;
  to->message_bytes = from.message_bytes;
  to->saves = saves_;
  to->failed_saves = failed_saves_;
  to->pause_us = static_cast<double>(from.pause_ns) / 1000;
  to->longest_pause_us = static_cast<double>(from.longest_pause_ns) / 1000;
  to->last_sequence = last.sequence;
  to->last_base = last.base ? 1 : 0;
  to->last_rounds = last.rounds;
  to->last_pause_us = static_cast<double>(last.pause_ns) / 1000;
  to->last_told_pages = last.look.changed_bytes / kPageBytes;
  to->last_changed_pages = last.changed_pages;
  to->last_object_bytes = last.object_bytes;
  to->last_content_bytes = last.content_bytes;
  to->last_message_bytes = last.message_bytes;
  to->last_gone_bytes = last.look.gone_bytes;
  to->last_dense_ranges = last.look.dense_ranges;
  to->last_replaced_areas = last.look.replaced_areas;
}

}  // namespace auxin::checkpoint
