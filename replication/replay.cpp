// SPDX-License-Identifier: Apache-2.0
#include "replication/replay.h"

#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <iterator>

#include "libmeta_os/private_memory.h"
#include "replication/activity.h"
#include "replication/connection.h"
#include "replication/divergence.h"
#include "replication/listener.h"
#include "replication/replica.h"
#include "stmemu/check.h"

namespace auxin::replication {

Replay replay;

namespace {

constexpr int kPumpBatch = 1024;  // entries in one go, so that the lock is free in between
// A thread that keeps its place in the log may hold a lock that nobody orders and that the one
// before it needs. After so long without any progress it goes on.
constexpr uint64_t kStrictOrderPatienceNs = 20'000'000;
constexpr uint64_t kStandstillPatienceNs = 200'000'000;
constexpr uint64_t kSleepNs = 200'000'000;  // a lost wake-up costs this, not the group

thread_local constinit Waiter this_waiter;

// Maps it, if it is not there yet.
template <typename T>
void clear_array(T** array, size_t count) {
  if (*array != nullptr) {
    memset(static_cast<void*>(*array), 0, count * sizeof(T));
    return;
  }
  *array = static_cast<T*>(os::map_private(count * sizeof(T)));
  CHECK(*array != nullptr, "no memory for the replay tables");
}

}  // namespace

Waiter& Replay::this_thread_waiter() { return this_waiter; }

void Replay::start(uint64_t begin, uint64_t end) {
  clear_array(&entries_, kWindow);
  clear_array(&links_, kWindow);
  clear_array(&send_links_, kWindow);
  clear_array(&send_waits_, kWindow);
  clear_array(&outcomes_, kWindow);
  clear_array(&consumed_bits_, kWindow / 64);
  sends_.clear();
  chunks_.clear();
  thread_decisions_.clear();
  clear_array(&records_, kRecords);
  free_records_ = nullptr;
  fresh_records_ = 0;
  std::fill(std::begin(buckets_), std::end(buckets_), nullptr);
  pollers_gated_ = false;
  accept_at_ = late_at_ = kNoPosition;
  read_position_ = begin;
  read_end_ = end;
  low_.store(begin, std::memory_order_release);
}

// --- sets of positions ---

void PositionSet::clear() {
  clear_array(&bits_, kWindow / 64);
  lowest_ = kNoPosition;
}

void PositionSet::add(uint64_t position) {
  bits_[position % kWindow / 64] |= 1ull << (position % 64);
  if (lowest_ == kNoPosition) lowest_ = position;
}

bool PositionSet::remove(uint64_t position, uint64_t end) {
  bits_[position % kWindow / 64] &= ~(1ull << (position % 64));
  if (position != lowest_) return false;
  lowest_ = kNoPosition;
  for (uint64_t at = position + 1; at < end; at = (at / 64 + 1) * 64) {
    const uint64_t later = bits_[at % kWindow / 64] >> (at % 64);
    if (later == 0) continue;
    lowest_ = at + static_cast<uint64_t>(__builtin_ctzll(later));
    break;
  }
  return true;
}

// --- waiting ---

void Replay::enqueue(WaitQueue& queue, Waiter& waiter) {
  CHECK(waiter.queue == nullptr, "a thread waits in one queue at a time");
  waiter.queue = &queue;
  waiter.next = queue.first;
  queue.first = &waiter;
  waiter.previous_sleeper = nullptr;
  waiter.next_sleeper = sleepers_;
  if (sleepers_ != nullptr) sleepers_->previous_sleeper = &waiter;
  sleepers_ = &waiter;
}

void Replay::dequeue(Waiter& waiter) {
  if (waiter.queue == nullptr) return;
  for (Waiter** link = &waiter.queue->first; *link != nullptr; link = &(*link)->next) {
    if (*link == &waiter) {
      *link = waiter.next;
      break;
    }
  }
  if (waiter.previous_sleeper != nullptr) {
    waiter.previous_sleeper->next_sleeper = waiter.next_sleeper;
  } else {
    sleepers_ = waiter.next_sleeper;
  }
  if (waiter.next_sleeper != nullptr)
    waiter.next_sleeper->previous_sleeper = waiter.previous_sleeper;
  waiter.queue = nullptr;
}

namespace {

void wake(Waiter& waiter) {
  waiter.word.fetch_add(1, std::memory_order_release);
  if (waiter.event_fd >= 0) {
    const uint64_t one = 1;
    raw_syscall(SYS_write, waiter.event_fd, reinterpret_cast<long>(&one), sizeof one);
  } else {
    futex_wake(&waiter.word, 1);
  }
}

}  // namespace

void Replay::wake_locked(WaitQueue& queue) {
  while (queue.first != nullptr) {
    Waiter& waiter = *queue.first;
    dequeue(waiter);
    wake(waiter);
  }
}

bool Replay::wait_locked(WaitQueue& queue, uint64_t timeout_ns) {
  Waiter& waiter = this_waiter;
  const uint32_t seen = waiter.word.load(std::memory_order_relaxed);
  enqueue(queue, waiter);
  lock_.unlock();
  const uint64_t sleep = timeout_ns != 0 && timeout_ns < kSleepNs ? timeout_ns : kSleepNs;
  const long result = futex_wait(&waiter.word, seen, sleep);
  lock_.lock();
  dequeue(waiter);
  return result != -ETIMEDOUT || waiter.word.load(std::memory_order_relaxed) != seen;
}

void Replay::wake_everything() {
  FutexGuard guard(lock_);
  while (sleepers_ != nullptr) {
    Waiter& waiter = *sleepers_;
    dequeue(waiter);
    wake(waiter);
  }
}

void Replay::add_poller_locked(Waiter& waiter, bool saw_undeliverable) {
  enqueue(pollers_, waiter);
  if (saw_undeliverable) pollers_gated_ = true;
}

void Replay::remove_poller_locked(Waiter& waiter) { dequeue(waiter); }

// --- queues of positions ---

void Replay::append_to(PositionQueue& queue, uint64_t position) {
  links_[position % kWindow] = 0;
  if (queue.empty()) {
    queue.head = position;
  } else {
    // The distance is below kWindow: both are in the window.
    links_[queue.tail % kWindow] = static_cast<uint32_t>(position - queue.tail);
  }
  queue.tail = position;
}

void Replay::pop_locked(PositionQueue& queue) {
  const uint32_t distance = links_[queue.head % kWindow];
  if (distance == 0) {
    queue = PositionQueue{};
  } else {
    queue.head += distance;
  }
}

const stm::LogEntry& Replay::entry_at(uint64_t position) const {
  return entries_[position % kWindow];
}

// --- what has been consumed ---

void Replay::consumed_locked(uint64_t position) {
  if (position < low_.load(std::memory_order_relaxed)) return;  // before a history that was left
  consumed_bits_[position % kWindow / 64] |= 1ull << (position % 64);
  const bool send_changed = sends_.remove(position, read_position_);
  const bool decision_changed = thread_decisions_.remove(position, read_position_);
  const bool chunk_changed = input_ordered_ && chunks_.remove(position, read_position_);
  if (send_changed || decision_changed || chunk_changed) wake_gated_locked();
  uint64_t low = low_.load(std::memory_order_relaxed);
  if (position != low) return;
  while (low < read_position_) {
    uint64_t& bits = consumed_bits_[low % kWindow / 64];
    const uint64_t bit = 1ull << (low % 64);
    if ((bits & bit) == 0) break;
    bits &= ~bit;
    ++low;
  }
  low_.store(low, std::memory_order_release);
  replica->slot().position.store(low, std::memory_order_relaxed);
  if (low >= late_at_) {
    late_at_ = kNoPosition;  // who waits for a later one says so again
    wake_locked(late_);
  }
  if (low >= accept_at_) {
    accept_at_ = kNoPosition;
    wake_locked(accepting_);
    wake_pollers_locked();
  }
}

bool Replay::acceptable(uint64_t position) {
  if (position - low_.load(std::memory_order_relaxed) <= kAcceptLead) return true;
  if (position - kAcceptLead < accept_at_) accept_at_ = position - kAcceptLead;
  return false;
}

void Replay::consumed(uint64_t position) {
  FutexGuard guard(lock_);
  consumed_locked(position);
}

bool Replay::deliverable(uint64_t position) const {
  if (input_ordered_ && chunks_.lowest() < position) return false;
  return sends_.lowest() > position && thread_decisions_.lowest() > position;
}

void Replay::wake_gated_locked() {
  const auto wake_those = [this](WaitQueue& queue, auto may_go) {
    for (Waiter** link = &queue.first; *link != nullptr;) {
      Waiter& waiter = **link;
      if (may_go(waiter.gate)) {
        dequeue(waiter);  // *link is the next one now
        wake(waiter);
      } else {
        link = &waiter.next;
      }
    }
  };
  wake_those(gated_, [this](uint64_t gate) { return deliverable(gate); });
  wake_those(behind_, [this](uint64_t gate) { return thread_decisions_.lowest() > gate; });
  if (pollers_gated_) {
    pollers_gated_ = false;
    wake_pollers_locked();
  }
}

void Replay::wait_deliverable_locked(uint64_t position) {
  this_waiter.gate = position;
  wait_locked(gated_, 0);
}

void Replay::await_everything_before(uint64_t position) {
  FutexGuard guard(lock_);
  for (uint64_t low; (low = low_.load(std::memory_order_relaxed)) < position;) {
    if (position < late_at_) late_at_ = position;
    // Nothing moves: what is before may wait for this very thread (a request that the ORB holds
    // until it lets requests pass again).
    if (!wait_locked(late_, kStandstillPatienceNs) && low_.load() == low) return;
  }
}

void Replay::send_reached(uint64_t position) {
  FutexGuard guard(lock_);
  send_left_locked(position);
  consumed_locked(position);
}

void Replay::note_outcome_locked(uint64_t position, uint32_t outcome) {
  if (position >= low_.load(std::memory_order_relaxed)) outcomes_[position % kWindow] = outcome;
}

// --- the order of sends on one connection ---

void Replay::append_send(Connection& connection, uint64_t position) {
  PositionQueue& order = connection.send_order();
  send_links_[position % kWindow] = 0;
  send_waits_[position % kWindow] = true;
  if (order.empty()) {
    order.head = position;
  } else {
    send_links_[order.tail % kWindow] = static_cast<uint32_t>(position - order.tail);
  }
  order.tail = position;
}

void Replay::send_left_locked(uint64_t position) {
  if (!send_waits_[position % kWindow]) return;
  send_waits_[position % kWindow] = false;
  Connection* connection = Connection::find(entry_at(position).object);
  if (connection == nullptr) return;
  PositionQueue& order = connection->send_order();
  while (!order.empty() && !send_waits_[order.head % kWindow]) {
    const uint32_t distance = send_links_[order.head % kWindow];
    if (distance == 0) {
      order = PositionQueue{};
    } else {
      order.head += distance;
    }
  }
  wake_locked(connection->senders());
}

void Replay::await_send_turn(uint64_t activity) {
  FutexGuard guard(lock_);
  while (!replica->leads()) {
    ActivityRecord* record = find(activity, true);
    if (record->queue.empty()) {
      if (pump_locked() == 0) wait_locked(record->waiters, 0);
      continue;
    }
    const uint64_t position = record->queue.head;
    Connection* connection =
        send_waits_[position % kWindow] ? Connection::find(entry_at(position).object) : nullptr;
    if (connection == nullptr || connection->send_order().head == position) return;
    wait_locked(connection->senders(), 0);
  }
}

// --- activities ---

Replay::ActivityRecord* Replay::find(uint64_t id, bool make) {
  ActivityRecord** bucket = &buckets_[(id * 0x9E3779B97F4A7C15ull) >> 52];
  static_assert(kBuckets == 1u << 12);
  for (ActivityRecord* record = *bucket; record != nullptr; record = record->next)
    if (record->id == id) return record;
  if (!make) return nullptr;
  ActivityRecord* record = free_records_;
  if (record != nullptr) {
    free_records_ = record->next;
  } else {
    if (fresh_records_ == kRecords) diverge("more activities at once than can be replayed");
    record = &records_[fresh_records_++];
  }
  *record = ActivityRecord{id, {}, {}, *bucket};
  *bucket = record;
  return record;
}

void Replay::release(ActivityRecord* record) {
  ActivityRecord** link = &buckets_[(record->id * 0x9E3779B97F4A7C15ull) >> 52];
  while (*link != record) link = &(*link)->next;
  *link = record->next;
  record->next = free_records_;
  free_records_ = record;
}

bool Replay::decision_waiting(uint64_t activity) {
  FutexGuard guard(lock_);
  ActivityRecord* record = find(activity, false);
  return record != nullptr && !record->queue.empty();
}

Replay::Step Replay::next_decision(uint64_t activity, uint32_t step, stm::LogEntry* entry,
                                   uint64_t* position) {
  lock_.lock();
  for (;;) {
    ActivityRecord* record = find(activity, true);
    if (!record->queue.empty()) {
      *position = record->queue.head;
      await_order_locked(activity, *position);
      pop_locked(record->queue);
      const bool idle = record->queue.empty() && record->waiters.first == nullptr;
      if (idle) release(record);
      lock_.unlock();
      *entry = entry_at(*position);
      if (entry->step != step || entry->activity != activity)
        diverge("activity %llx makes its decision %u where the leader made its %u (entry %llu)",
                static_cast<unsigned long long>(activity), step, entry->step,
                static_cast<unsigned long long>(*position));
      return Step::kLogged;
    }
    if (replica->leads()) {
      if (record->waiters.first == nullptr) release(record);
      lock_.unlock();
      return Step::kLive;
    }
    if (pump_locked() > 0) continue;
    wait_locked(record->waiters, 0);
  }
}

// Whether the decision at `position` is next: for one of the application's own threads, when all
// before it have been consumed; for a request, when those of such threads have.
bool Replay::in_order_locked(uint64_t activity, uint64_t position) const {
  if (is_request(activity)) return thread_decisions_.lowest() > position;
  return low_.load(std::memory_order_relaxed) >= position;
}

void Replay::await_order_locked(uint64_t activity, uint64_t position) {
  while (!in_order_locked(activity, position)) {
    const uint64_t low = low_.load(std::memory_order_relaxed);
    if (is_request(activity)) {
      this_waiter.gate = position;
      if (!wait_locked(behind_, kStrictOrderPatienceNs) && low_.load() == low) return;
    } else {
      if (position < late_at_) late_at_ = position;
      if (!wait_locked(late_, kStrictOrderPatienceNs) && low_.load() == low) return;
    }
  }
}

void Replay::finished(uint64_t activity) {
  FutexGuard guard(lock_);
  ActivityRecord* record = find(activity, false);
  if (record == nullptr) return;
  if (!record->queue.empty()) {
    const uint64_t at = record->queue.head;
    diverge("activity %llx ended here but made another decision in the leader (entry %llu)",
            static_cast<unsigned long long>(activity), static_cast<unsigned long long>(at));
  }
  if (record->waiters.first == nullptr) release(record);
}

// --- the pump ---

int Replay::pump() {
  FutexGuard guard(lock_);
  return pump_locked();
}

void Replay::notice_unread() {
  FutexGuard guard(lock_);
  if (low_.load(std::memory_order_relaxed) == read_position_ || !Connection::some_unread_locked())
    return;
  unread_notices_.fetch_add(1, std::memory_order_relaxed);
  wake_pollers_locked();
}

int Replay::pump_locked() {
  if (replica->leads()) return 0;
  int taken = 0;
  while (taken < kPumpBatch) {
    const bool full = read_position_ - low_.load(std::memory_order_relaxed) >= kWindow - 1;
    if (full && read_position_ >= replica->log().begin()) break;
    if (read_position_ == read_end_) break;
    stm::LogEntry entry;
    const auto read = replica->log().read(read_position_, &entry);
    if (read == stm::StableLog::Read::kNotYet) break;
    if (read == stm::StableLog::Read::kReleased)
      diverge("the log no longer holds entry %llu, which this replica needs next",
              static_cast<unsigned long long>(read_position_));
    if (read == stm::StableLog::Read::kCorrupt)
      diverge("the log's entry %llu is damaged: its checksum differs",
              static_cast<unsigned long long>(read_position_));
    const uint64_t position = read_position_++;
    entries_[position % kWindow] = entry;
    dispatch(position, entry);
    ++taken;
  }
  return taken;
}

void Replay::dispatch(uint64_t position, const stm::LogEntry& entry) {
  send_waits_[position % kWindow] = false;
  outcomes_[position % kWindow] = 0;
  switch (static_cast<Kind>(entry.kind)) {
    case kHoleEntry:
    case kEpoch:
    case kExit:
      consumed_locked(position);
      return;
    case kAccept: {
      Listener* listener = Listener::find(entry.number >> 32);
      CHECK(listener != nullptr, "a connection is accepted on a listener of the log");
      append_to(listener->queue(), position);
      Connection::accepted(position, entry);
      wake_locked(listener->waiters());
      if (listener->take_polled()) wake_pollers_locked();
      return;
    }
    case kReceive:
    case kReceiveEnd: {
      Connection* connection = Connection::find(entry.object);
      if (connection == nullptr || connection->closed_here()) {
        consumed_locked(position);  // this replica's ORB has given the connection up already
        return;
      }
      connection->note_received(entry);
      append_to(connection->queue(), position);
      if (input_ordered_) chunks_.add(position);
      wake_locked(connection->waiters());
      if (connection->take_polled()) wake_pollers_locked();
      return;
    }
    case kShutdown:
    case kClose: {
      if (Connection* connection = Connection::find(entry.object)) {
        connection->note_event(entry);
        wake_locked(connection->waiters());
        if (connection->take_polled()) wake_pollers_locked();
      }
      consumed_locked(position);
      return;
    }
    case kSend:
      if (Connection* connection = Connection::find(entry.object))
        connection->note_send(position, entry);
      if (entry.activity == 0) {  // the ORB's own message: nobody here sends it
        consumed_locked(position);
        return;
      }
      if (Connection* connection = Connection::find(entry.object))
        append_send(*connection, position);
      break;
    case kListener:
      Listener::announced(position, entry);
      break;
    case kConnect:
      Connection::connected(position, entry);
      break;
    case kAcquire:
    case kValue:
      break;
    default:
      diverge("entry %llu is of a kind (%u) that this version does not know",
              static_cast<unsigned long long>(position), entry.kind);
  }
  if (static_cast<Kind>(entry.kind) == kSend) {
    sends_.add(position);
  } else if (!is_request(entry.activity)) {
    thread_decisions_.add(position);
  }
  ActivityRecord* record = find(entry.activity, true);
  append_to(record->queue, position);
  wake_locked(record->waiters);
}

}  // namespace auxin::replication
