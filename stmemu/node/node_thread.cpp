// SPDX-License-Identifier: Apache-2.0
#include "stmemu/node/node_thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "stmemu/check.h"
#include "stmemu/node/clock.h"
#include "stmemu/node/fence.h"
#include "stmemu/node/node_step.h"
#include "stmemu/node/processor.h"
#include "stmemu/transaction/contexts.h"

namespace auxin::stm {
namespace {

constexpr uint32_t kLongestRound_us = 50'000;   // of blocking on the other one's lock
constexpr uint32_t kAskingRound_us = 2'000;     // … while this one waits to be given the memory
constexpr uint32_t kRoundsPerLimit = 8;
constexpr uint32_t kSeatPatience_us = 200'000;  // a process that dies may not have given it up yet
constexpr uint64_t kNsPerMs = 1'000'000;
constexpr uint64_t kPauseOfBarrier_ns = 2'000'000;

// Every thread of this process (or of all) has done its stores and sees ours: a transaction that
// began in front of it is seen in its context, one that begins after it sees the gate closed.
void barrier_of_threads(bool of_all_processes) {
  const int command =
      of_all_processes ? MEMBARRIER_CMD_GLOBAL : MEMBARRIER_CMD_PRIVATE_EXPEDITED;
  if (syscall(SYS_membarrier, command, 0, 0) == 0) return;
  // A kernel without it: no processor keeps a store to itself for so long.
  const timespec pause = {0, kPauseOfBarrier_ns};
  nanosleep(&pause, nullptr);
}

// Real-time priorities. Dying has to be scheduled, too: the kernel marks the seat when the holder's
// thread gets to run its end. Then that thread may have the whole process's memory to tear down
// (20 ms for 256 MiB), and the watcher that it has just woken must not queue up behind it.
constexpr int kNormal = 0, kHolding = 1, kWatching = 2;

bool same_holder(uint64_t a, uint64_t b) {
  return (a | HolderWord::kClosed) == (b | HolderWord::kClosed);
}

bool is_nobodys(uint64_t word) { return HolderWord::pid_of(word) == 0; }

}  // namespace

StableNode::Thread::Thread(std::shared_ptr<MemoryCore> core, Role role, NodeOptions options)
    : core_(std::move(core)),
      options_(std::move(options)),
      seat_(static_cast<uint32_t>(role)),
      process_(static_cast<uint32_t>(getpid())),
      asking_(role == Role::kPrimary && options_.asks_at_once) {}

StableNode::Thread::~Thread() {
  if (thread_.joinable()) thread_.join();
}

// --- what callers do ---

void StableNode::Thread::start() {
  syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
  // The application's signals are its own threads' business.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return joining_ != Joining::kNotYet; });
  if (joining_ == Joining::kFailed) throw Failure(failure_, failure_sentence_);
}

void StableNode::Thread::leave() {
  std::unique_lock lock(mutex_);
  const uint64_t refusals = leave_refusals_;
  leaving_.store(true);
  ring();
  changed_.wait(lock, [&] { return state_ == NodeState::kLeft || leave_refusals_ != refusals; });
  if (state_ != NodeState::kLeft) {
    throw Failure(Status::kBusy, core_->physical.path() +
                                     ": a transaction of this process does not end, so the memory "
                                     "can't be given back");
  }
}

bool StableNode::Thread::wait_for(NodeState state, uint32_t timeout_ms) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                    [&] { return state_ == state || state_ == NodeState::kLeft; });
  return state_ == state;
}

bool StableNode::Thread::active() const {
  const uint64_t word = holder();
  return word != 0 && HolderWord::admits(word, process_);
}

void StableNode::Thread::beat() {
  own_seat().beat.store(monotonic_ns(), std::memory_order_relaxed);
}

void StableNode::Thread::ask() {
  if (seat_ != 0) return;
  asking_.store(true);
  ring();
}

NodeReport StableNode::Thread::report() {
  NodeReport report;
  report.role = static_cast<Role>(seat_);
  const uint64_t word = holder();
  report.holder = HolderWord::pid_of(word);
  report.term = HolderWord::term_of(word);
  report.other_process =
      other_is_there() ? other_seat().pid.load(std::memory_order_relaxed) : 0;
  const std::lock_guard lock(mutex_);
  report.state = state_;
  report.put_off = put_off_;
  return report;
}

bool StableNode::Thread::forked() const { return static_cast<uint32_t>(getpid()) != process_; }

// --- the thread ---

void StableNode::Thread::run() {
  pthread_setname_np(pthread_self(), "auxin-node");
  be_prompt(kWatching);
  if (!take_seat()) return;
  for (;;) {
    if (leaving_.load() && try_to_leave()) return;
    const uint64_t word = holder();
    if (HolderWord::pid_of(word) == process_ && HolderWord::seat_of(word) == seat_) {
      be_prompt(kHolding);
      hold(word);
    } else {
      be_prompt(kWatching);
      watch(word);
    }
    if (joining_ == Joining::kFailed) return;
  }
}

bool StableNode::Thread::take_seat() {
  const std::string& path = core_->physical.path();
  const char* role = name_of(static_cast<Role>(seat_));
  const auto occupied_by_this_process = [&](const Seat& seat) {
    return seat.lock.seems_held() && seat.pid.load(std::memory_order_acquire) == process_;
  };
  if (occupied_by_this_process(own_seat()) || occupied_by_this_process(other_seat())) {
    return fail_joining(Status::kRefused,
                        path + ": this process is a processor of this stable node already; a node "
                               "has two, and they die apart");
  }
  uint32_t waited_us = 0;
  uint64_t taker_beat = 0;
  for (;;) {
    const RobustLock::Taken taken = own_seat().lock.lock_for(plain_mutex_calls(), round_us());
    if (taken == RobustLock::Taken::kClean || taken == RobustLock::Taken::kOwnerDied) break;
    waited_us += round_us();
    const uint32_t owner = own_seat().pid.load(std::memory_order_acquire);
    const bool lives = owner != 0 && start_time_ticks(owner) == own_seat().start_time.load();
    if ((lives && waited_us >= kSeatPatience_us) || taken == RobustLock::Taken::kFailed) {
      return fail_joining(Status::kRefused, path + ": process " + std::to_string(owner) +
                                                " is its " + role +
                                                " already; a stable node has one of each");
    }
    // If that one is dead, the other processor takes over from it, and may hang in the middle.
    const uint64_t beat = other_seat().beat.load(std::memory_order_relaxed);
    if (lives || beat != taker_beat) {
      taker_beat = beat;
      if (!lives) waited_us = 0;
    } else if (options_.hang_limit_ms != 0 && waited_us >= options_.hang_limit_ms * 1000) {
      waited_us = 0;
      static_cast<void>(kill_process(other_seat().pid.load(), other_seat().start_time.load()));
    }
  }
  node_step(NodeStep::kSeatTaken);
  name_seat();
  node_step(NodeStep::kSeatNamed);
  if (HolderWord::pid_of(holder()) == process_) {
    // A process of this very number, long dead: nothing of it is left but transactions.
    recover_dead_contexts(core_->physical);
    give(HolderWord::of(0, HolderWord::term_of(holder()) + 1, 0) | HolderWord::kClosed);
  }
  joined_ns_ = monotonic_ns();
  return true;
}

void StableNode::Thread::name_seat() {
  Seat& seat = own_seat();
  before_ = {seat.pid.load(std::memory_order_relaxed),
             seat.start_time.load(std::memory_order_relaxed)};
  seat.asks.store(0, std::memory_order_relaxed);
  seat.beat.store(monotonic_ns(), std::memory_order_relaxed);
  // Never one process's number with another's time.
  seat.start_time.store(0, std::memory_order_release);
  seat.pid.store(process_, std::memory_order_release);
  seat.start_time.store(start_time_ticks(process_), std::memory_order_release);
}

// --- with the memory ---

void StableNode::Thread::hold(uint64_t word) {
  const uint32_t bell = words().bell.load(std::memory_order_acquire);
  {
    // Found, and not taken: it was handed over.
    std::unique_lock lock(mutex_);
    if (state_ == NodeState::kStandby) {
      lock.unlock();
      node_step(NodeStep::kReturned);
      stop_asking();
      NodeNotice notice;
      notice.change = NodeChange::kReturned;
      notice.other_process = other_seat().pid.load(std::memory_order_relaxed);
      notify(NodeState::kActive);
      joined();
      warn(notice);
      return;
    }
  }
  joined();
  beat_by_node();
  const bool asked = other_seat().asks.load(std::memory_order_acquire) != 0 && other_is_there();
  if (asked && monotonic_ns() >= again_ns_) {
    if (hand_over(word)) return;
    again_ns_ = monotonic_ns() + options_.end_limit_ms * kNsPerMs;
  }
  if (!leaving_.load()) sleep(bell, round_us());
}

// The transactions of this process end, and none begins. False: one goes on, the gate is open.
bool StableNode::Thread::close_and_wait(uint64_t word) {
  words().holder.store(word | HolderWord::kClosed, std::memory_order_seq_cst);
  {
    const std::lock_guard lock(mutex_);
    state_ = NodeState::kHandingOver;
  }
  barrier_of_threads(false);
  node_step(NodeStep::kHandOverClosed);
  const bool quiet =
      wait_for_quiet(core_->physical, false, uint64_t{options_.end_limit_ms} * 1000, [this] {
        beat_by_node();
        return true;
      });
  if (quiet) return true;
  words().holder.store(word, std::memory_order_seq_cst);
  notify(NodeState::kActive);
  return false;
}

bool StableNode::Thread::hand_over(uint64_t word) {
  if (!close_and_wait(word)) {
    const std::lock_guard lock(mutex_);
    ++put_off_;
    return false;
  }
  node_step(NodeStep::kHandOverQuiet);
  // Whoever sets `asks` to 0 has decided: this one, that it gives, or the other, that it leaves.
  if (!other_is_there() || other_seat().asks.exchange(0) == 0) {
    words().holder.store(word, std::memory_order_seq_cst);
    notify(NodeState::kActive);
    return false;
  }
  const uint32_t other = other_seat().pid.load(std::memory_order_acquire);
  give(HolderWord::of(other, HolderWord::term_of(word) + 1, 1 - seat_));
  node_step(NodeStep::kHandedOver);
  notify(NodeState::kStandby);
  NodeNotice notice;
  notice.change = NodeChange::kHandedOver;
  notice.other_process = other;
  warn(notice);
  return true;
}

// --- without it ---

void StableNode::Thread::watch(uint64_t word) {
  const uint32_t bell = words().bell.load(std::memory_order_acquire);
  if (is_nobodys(word)) {
    const bool left_to_primary = seat_ == 1 && !seen_holder_ &&
                                 monotonic_ns() - joined_ns_ < options_.grace_ms * kNsPerMs;
    if (left_to_primary) {
      joined();
      sleep(bell, std::min<uint32_t>(round_us(), 10'000));
    } else {
      begin_with(word);
    }
    return;
  }
  seen_holder_ = true;
  if (HolderWord::seat_of(word) == seat_) {  // the one before us had it
    node_step(NodeStep::kDeathSeen);
    take_over(word, before_.process == HolderWord::pid_of(word) ? before_.started_ticks : 0);
    return;
  }
  if (asking_.load() && !asked_) {
    asked_ = true;
    own_seat().asks.store(1, std::memory_order_release);
    node_step(NodeStep::kAsked);
    ring();
  }
  const bool hurry = asked_ || joining_ == Joining::kNotYet;
  const uint32_t round = hurry ? std::min(kAskingRound_us, round_us()) : round_us();
  Seat& other = other_seat();
  switch (other.lock.lock_for(plain_mutex_calls(), round)) {
    case RobustLock::Taken::kBusy:
      joined();
      watch_for_hang(word, round);
      return;
    case RobustLock::Taken::kClean:
    case RobustLock::Taken::kOwnerDied:
      break;
    case RobustLock::Taken::kFailed:
      check_failed(__FILE__, __LINE__, "lock_for", "a seat's lock works");
  }
  // The one that had the seat does nothing any more; did it have the memory?
  if (!same_holder(holder(), word)) {
    other.lock.unlock(plain_mutex_calls());
    return;
  }
  node_step(NodeStep::kDeathSeen);
  const uint32_t named = other.pid.load(std::memory_order_acquire);
  take_over(word, named == HolderWord::pid_of(word) ? other.start_time.load() : 0);
}

void StableNode::Thread::watch_for_hang(uint64_t word, uint32_t round) {
  const uint64_t beat = other_seat().beat.load(std::memory_order_relaxed);
  if (!same_holder(word, watched_) || beat != watched_beat_) {
    watched_ = word;
    watched_beat_ = beat;
    silent_us_ = 0;
    killed_ = false;
    return;
  }
  // What a round should last, not what the clock says: in a stall of the host this thread has had
  // no more time than the other process to run in.
  silent_us_ += round;
  if (options_.hang_limit_ms == 0 || silent_us_ < uint64_t{options_.hang_limit_ms} * 1000) return;
  silent_us_ = 0;
  const uint64_t started = other_seat().start_time.load(std::memory_order_acquire);
  if (other_seat().pid.load(std::memory_order_acquire) != HolderWord::pid_of(word)) return;
  killed_ |= kill_process(HolderWord::pid_of(word), started);
}

void StableNode::Thread::begin_with(uint64_t word) {
  PhysicalMemory& memory = core_->physical;
  const uint64_t mine = HolderWord::of(process_, HolderWord::term_of(word) + 1, seat_);
  beat();
  uint64_t expected = word;
  if (!words().holder.compare_exchange_strong(expected, mine | HolderWord::kClosed)) return;
  node_step(NodeStep::kClaimed);
  // Processes that do not belong to the node may be in transactions.
  if (word == 0) barrier_of_threads(true);
  const uint64_t limit_us = uint64_t{options_.end_limit_ms} * 1000;
  const bool quiet = wait_for_quiet(memory, true, limit_us, [this] {
    beat_by_node();
    return true;
  });
  if (!quiet) {
    words().holder.store(word, std::memory_order_seq_cst);
    if (joining_ == Joining::kNotYet) {
      own_seat().lock.unlock(plain_mutex_calls());
      fail_joining(Status::kBusy, memory.path() + ": a process that does not belong to the stable "
                                                  "node is in a transaction that does not end");
    }
    return;
  }
  give(mine);
  node_step(NodeStep::kBegun);
  NodeNotice notice;
  notice.change = word == 0 ? NodeChange::kBegun : NodeChange::kInherited;
  stop_asking();
  notify(NodeState::kActive);
  joined();
  warn(notice);
}

// `word` names a process whose seat's lock this thread holds, so nobody else changes it now.
void StableNode::Thread::take_over(uint64_t word, uint64_t started_ticks) {
  const uint64_t start_ns = monotonic_ns();
  PhysicalMemory& memory = core_->physical;
  Seat& dead_seat = words().seats[HolderWord::seat_of(word)];
  NodeNotice notice;
  notice.change = NodeChange::kPromoted;
  notice.other_process = HolderWord::pid_of(word);
  notice.other_hung = killed_ && same_holder(word, watched_);
  if (&dead_seat != &own_seat()) {
    const uint64_t beat = dead_seat.beat.load(std::memory_order_relaxed);
    notice.silence_us = start_ns > beat ? (start_ns - beat) / 1000 : 0;
  }
  words().holder.store(word | HolderWord::kClosed, std::memory_order_seq_cst);
  node_step(NodeStep::kGateClosed);
  const Fenced fenced = fence_process(memory, HolderWord::pid_of(word), started_ticks,
                                      [this] { beat(); });
  node_step(NodeStep::kStateRestored);
  notice.recovery_us = (monotonic_ns() - start_ns) / 1000;
  notice.fence_us = fenced.waited_ns / 1000;
  notice.transactions_undone = fenced.findings.undone;
  notice.transactions_redone = fenced.findings.redone;
  notice.objects_lost = fenced.findings.lost;
  beat();
  stop_asking();
  give(HolderWord::of(process_, HolderWord::term_of(word) + 1, seat_));
  node_step(NodeStep::kGiven);
  if (&dead_seat != &own_seat()) dead_seat.lock.unlock(plain_mutex_calls());
  node_step(NodeStep::kSeatReleased);
  notify(NodeState::kActive);
  joined();
  warn(notice);
  node_step(NodeStep::kWarned);
}

// --- leaving ---

bool StableNode::Thread::try_to_leave() {
  const uint64_t word = holder();
  const bool mine =
      HolderWord::pid_of(word) == process_ && HolderWord::seat_of(word) == seat_;
  if (mine) {
    if (!close_and_wait(word)) {
      leaving_.store(false);
      const std::lock_guard lock(mutex_);
      ++leave_refusals_;
      changed_.notify_all();
      return false;
    }
    node_step(NodeStep::kLeaveQuiet);
    // The other one takes it; without one the memory belongs to no node any more.
    give(other_is_there()
             ? HolderWord::of(0, HolderWord::term_of(word) + 1, 0) | HolderWord::kClosed
             : 0);
    node_step(NodeStep::kLeftMemory);
  } else if (asked_ && own_seat().asks.exchange(0) == 0) {
    return false;  // it is being given to this process
  }
  own_seat().lock.unlock(plain_mutex_calls());
  ring();
  notify(NodeState::kLeft);
  return true;
}

// --- small things ---

void StableNode::Thread::give(uint64_t word) {
  words().holder.store(word, std::memory_order_seq_cst);
  ring();
}

void StableNode::Thread::stop_asking() {
  own_seat().asks.store(0, std::memory_order_relaxed);
  asking_.store(false);
  asked_ = false;
}

void StableNode::Thread::notify(NodeState state) {
  const std::lock_guard lock(mutex_);
  state_ = state;
  changed_.notify_all();
}

void StableNode::Thread::warn(const NodeNotice& notice) {
  if (!options_.on_change) return;
  be_prompt(kNormal);
  options_.on_change(notice);
}

void StableNode::Thread::joined() {
  if (joining_ == Joining::kDone) return;
  const std::lock_guard lock(mutex_);
  joining_ = Joining::kDone;
  changed_.notify_all();
}

bool StableNode::Thread::fail_joining(Status status, const std::string& why) {
  const std::lock_guard lock(mutex_);
  joining_ = Joining::kFailed;
  state_ = NodeState::kLeft;
  failure_ = status;
  failure_sentence_ = why;
  changed_.notify_all();
  return false;
}

void StableNode::Thread::be_prompt(int priority) {
  if (!options_.prompt || priority == priority_) return;
  priority_ = priority;
  sched_param parameters = {};
  parameters.sched_priority = priority;
  const int policy = priority == kNormal ? SCHED_OTHER : SCHED_RR;
  static_cast<void>(sched_setscheduler(0, policy | SCHED_RESET_ON_FORK, &parameters));
}

void StableNode::Thread::ring() {
  words().bell.fetch_add(1, std::memory_order_release);
  syscall(SYS_futex, &words().bell, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
}

void StableNode::Thread::sleep(uint32_t bell, uint32_t timeout_us) {
  const timespec timeout = {static_cast<time_t>(timeout_us / 1'000'000),
                            static_cast<long>(timeout_us % 1'000'000) * 1000};
  syscall(SYS_futex, &words().bell, FUTEX_WAIT, bell, &timeout, nullptr, 0);
}

void StableNode::Thread::beat_by_node() {
  if (options_.beat == Beat::kByNode) beat();
}

uint32_t StableNode::Thread::round_us() const {
  if (options_.hang_limit_ms == 0) return kLongestRound_us;
  return std::clamp<uint32_t>(options_.hang_limit_ms * (1000 / kRoundsPerLimit), 1000,
                              kLongestRound_us);
}

}  // namespace auxin::stm
