// SPDX-License-Identifier: Apache-2.0
//
// Replay: how a follower takes its decisions from the log.
//
// One pump thread reads the log in order, in batches, and hands each entry to whom it belongs: an
// activity's queue of decisions, a connection's queue of received chunks, a listener's queue of
// accepted connections. The application's threads take entries from the queue they need and sleep
// on a word of their own when it is empty. Entries stay in the log; queues are chains of positions.
//
//   log ─▶ pump ─▶ activity A: Acquire, Value, Send …   ◀─ thread that runs A
//               ─▶ connection c: Receive, Receive …       ◀─ thread in recv or poll on c
//               ─▶ listener l: Accept …                   ◀─ thread in accept or poll on l
//
// `position` (the low-water mark) is the lowest position not yet consumed. The pump never runs more
// than kWindow entries ahead of it: memory is bounded.
//
// Causality: a received chunk is delivered only when every send that stands before it in the log
// has been reached here (DESIGN 4.3). The leader logs a send before it happens and a receive after
// it happened, so log order contains the order that a client can see.
//
// Requests run side by side, the application's own threads do not: their decisions keep their
// places in the log among all others, and chunks wait for them too. So a request finds what such a
// thread had left for it (a generator, a poller of hardware) also where no lock says so. This is a
// help and no promise: it gives way where it would hold replay up (kStrictOrderPatienceNs).
//
// Thread safety: everything is under one lock; waits happen outside it.
#pragma once

#include <atomic>
#include <cstdint>

#include "replication/futex.h"
#include "replication/log_entry.h"

namespace auxin::replication {

class Connection;
class Listener;

inline constexpr uint32_t kWindow = 16384;  // entries; a power of two
inline constexpr uint32_t kAcceptLead = 64;  // entries that an accept may run ahead of replay
inline constexpr uint64_t kNoPosition = ~0ull;

struct WaitQueue;

// One thread's place to sleep. Lives in thread-local storage.
struct Waiter {
  std::atomic<uint32_t> word{0};
  Waiter* next = nullptr;      // in the WaitQueue it sleeps in
  uint64_t gate = 0;           // the position of the chunk it waits for, if it is gated
  WaitQueue* queue = nullptr;  // null: not waiting
  Waiter* next_sleeper = nullptr;      // all waiting threads of the process
  Waiter* previous_sleeper = nullptr;
  int event_fd = -1;           // a poller's: written instead of waking the word
};

// Threads that wait for one thing. Under the replay lock.
struct WaitQueue {
  Waiter* first = nullptr;
};

// A chain of log positions through Replay's links.
struct PositionQueue {
  uint64_t head = kNoPosition;
  uint64_t tail = kNoPosition;
  bool empty() const { return head == kNoPosition; }
};

// Positions in the window, and the lowest of them.
class PositionSet {
 public:
  void clear();  // makes it, the first time
  uint64_t lowest() const { return lowest_; }  // kNoPosition: empty
  void add(uint64_t position);  // above all that are in it
  // Positions from `end` on were never added. True if the lowest changed.
  bool remove(uint64_t position, uint64_t end);

 private:
  uint64_t* bits_ = nullptr;  // [kWindow / 64]
  uint64_t lowest_ = kNoPosition;
};

class Replay {
 public:
  // Chunks are delivered in the log's order over all connections. For a middleware with a queue of
  // requests and a pool of fixed size: its workers then take them up in the leader's order, and
  // none waits for one that no worker is left for. Before start().
  void order_input() { input_ordered_ = true; }

  // Called before the pump runs, and again where a leader's image is restored. `begin`: where this
  // replica starts to read; from `end` on it reads nothing.
  void start(uint64_t begin, uint64_t end = kNoPosition);
  // A leader, with all its threads stopped: nothing of what it had followed is left.
  bool is_empty() const { return sleepers_ == nullptr && low() == read_position_; }

  // --- for the application's threads ---

  enum class Step { kLogged, kLive };
  // The next decision of the activity: fills entry and its position. kLive: nothing is logged and
  // this replica leads now: decide freely. Blocks until one of the two. `step` is checked against
  // the entry: a difference is divergence.
  Step next_decision(uint64_t activity, uint32_t step, stm::LogEntry* entry, uint64_t* position);
  // Whether a decision for the activity is at hand, without waiting.
  bool decision_waiting(uint64_t activity);
  // The entry at `position` has taken effect here.
  void consumed(uint64_t position);
  // Waits until everything before `position` has been consumed: for decisions that say "time has
  // passed" (a time-out, a sleep, a spurious wake-up). What the application saw after it may depend
  // on anything that happened before, through memory that no lock protects.
  void await_everything_before(uint64_t position);
  // The send at `position` has been reached here: consumed, and what it held back may be delivered.
  void send_reached(uint64_t position);
  // What the Send at `position` came to, as the log says further on. Under the lock; noted only for
  // positions in the window, 0: not yet.
  void note_outcome_locked(uint64_t position, uint32_t outcome);
  uint32_t noted_outcome_locked(uint64_t position) const { return outcomes_[position % kWindow]; }
  // Before the ORB takes a connection for writing on behalf of the activity: waits until the
  // activity's send is the next of its connection in the log, so that threads get the connection in
  // the order in which they got it in the leader. Returns at once where the next decision is no
  // send, or this replica leads.
  void await_send_turn(uint64_t activity);
  // The activity has ended here; its record may go.
  void finished(uint64_t activity);

  // A connection's or listener's queue, to be used under lock().
  FutexLock& lock() { return lock_; }
  // True if the chunk at `position` may be delivered (causality). Under the lock.
  bool deliverable(uint64_t position) const;
  // True if the connection accepted at `position` may be taken: replay is close to it. A replica
  // that catches up would otherwise take all connections of its past at once, with a thread for
  // each. Under the lock; false notes that somebody waits for it.
  bool acceptable(uint64_t position);
  void pop_locked(PositionQueue& queue);       // the head
  void consumed_locked(uint64_t position);
  // The entry, as the pump read and checked it. Only for positions in the window.
  const stm::LogEntry& entry_at(uint64_t position) const;

  // Sleeps until something may have changed for the queue's owner, at most timeout_ns (0: for
  // ever). The lock is held on entry and on return. Returns false on time-out.
  bool wait_locked(WaitQueue& queue, uint64_t timeout_ns);
  // The same for the chunk at `position`, which is there but not deliverable yet, and for a
  // connection that is not acceptable yet.
  void wait_deliverable_locked(uint64_t position);
  void wait_acceptable_locked() { wait_locked(accepting_, 0); }

  // For a thread that is about to sleep, lock held: reads on first.
  int pump_locked_for_waiter() { return pump_locked(); }

  // All waits of this process return and look again: the mode has changed.
  void wake_everything();

  // Pollers: threads in a poll over virtual descriptors. They are woken through their event_fd.
  void add_poller_locked(Waiter& waiter, bool saw_undeliverable);
  void remove_poller_locked(Waiter& waiter);
  void wake_locked(WaitQueue& queue);
  void wake_pollers_locked() { wake_locked(pollers_); }
  // How often pollers have been told that a chunk lies unread (notice_unread).
  uint64_t unread_notices() const { return unread_notices_.load(std::memory_order_relaxed); }

  // --- for the pump (and the steward while it promotes) ---

  // Reads on and hands out; returns the number of entries taken. Never blocks for long.
  int pump();
  // Every millisecond or so: tells pollers of chunks that nobody comes for.
  void notice_unread();
  uint64_t read_position() const { return read_position_; }
  uint64_t low() const { return low_.load(std::memory_order_acquire); }

  static Waiter& this_thread_waiter();

 private:
  struct ActivityRecord {
    uint64_t id;
    PositionQueue queue;
    WaitQueue waiters;
    ActivityRecord* next;   // in its bucket or in the free list
  };
  ActivityRecord* find(uint64_t id, bool make);
  void release(ActivityRecord* record);
  void append_to(PositionQueue& queue, uint64_t position);
  void append_send(Connection& connection, uint64_t position);
  void send_left_locked(uint64_t position);
  int pump_locked();
  void dispatch(uint64_t position, const stm::LogEntry& entry);
  void enqueue(WaitQueue& queue, Waiter& waiter);
  void dequeue(Waiter& waiter);
  void wake_gated_locked();
  bool in_order_locked(uint64_t activity, uint64_t position) const;
  void await_order_locked(uint64_t activity, uint64_t position);

  static constexpr uint32_t kBuckets = 4096;
  static constexpr uint32_t kRecords = kWindow + 4096;

  FutexLock lock_;
  std::atomic<uint64_t> low_{0};
  uint64_t read_position_ = 0;
  uint64_t read_end_ = kNoPosition;
  stm::LogEntry* entries_ = nullptr;  // [kWindow] as read and checked by the pump
  uint32_t* links_ = nullptr;        // [kWindow] next position's low half + 1; 0: last
  uint32_t* send_links_ = nullptr;   // [kWindow] the same for sends of one connection
  bool* send_waits_ = nullptr;       // [kWindow] a send that has not been reached
  uint32_t* outcomes_ = nullptr;     // [kWindow] of sends, once noted; 0: not yet
  uint64_t* consumed_bits_ = nullptr;  // [kWindow / 64]
  PositionSet sends_;                // not reached yet
  PositionSet chunks_;               // not read yet, where input is ordered
  bool input_ordered_ = false;
  PositionSet thread_decisions_;     // not consumed yet, of the application's own threads
  ActivityRecord* records_ = nullptr;
  ActivityRecord* free_records_ = nullptr;
  uint32_t fresh_records_ = 0;
  ActivityRecord* buckets_[kBuckets] = {};
  WaitQueue gated_;                  // threads with a chunk that is not deliverable yet
  WaitQueue behind_;                 // requests that wait for a thread's decision before theirs
  WaitQueue accepting_;              // threads with a connection that is not acceptable yet
  WaitQueue pollers_;
  std::atomic<uint64_t> unread_notices_{0};
  bool pollers_gated_ = false;       // some poller saw an undeliverable chunk
  uint64_t accept_at_ = kNoPosition;  // some listener waits for the low-water mark to come here
  uint64_t late_at_ = kNoPosition;    // the lowest position that a thread in late_ waits for
  WaitQueue late_;                   // threads in await_everything_before
  Waiter* sleepers_ = nullptr;
};

extern Replay replay;

}  // namespace auxin::replication
