// SPDX-License-Identifier: Apache-2.0
#include "replication/steward.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "libmeta_os/counters.h"
#include "libmeta_os/descriptor_table.h"
#include "libmeta_os/guard.h"
#include "libmeta_os/real_calls.h"
#include "replication/follower_scheduling.h"
#include "replication/futex.h"
#include "replication/live_part.h"
#include "replication/live_waits.h"
#include "replication/log_writer.h"
#include "replication/own_thread.h"
#include "replication/promotion.h"
#include "replication/recording_control.h"
#include "replication/rejoin.h"
#include "replication/replay.h"
#include "replication/replica.h"
#include "replication/saver.h"
#include "replication/stall_watch.h"
#include "replication/standard_output.h"
#include "stmemu/check.h"

namespace auxin::replication {
namespace {

constexpr uint64_t kLeaderTickNs = 10'000'000;
constexpr uint64_t kCountersEveryTicks = 10;
constexpr uint32_t kElectionLookUs = 50'000;
constexpr uint64_t kLeaveAfterEndNs = 2'000'000'000;
constexpr uint64_t kReadyLagEntries = 64;

std::atomic<uint32_t> role_known{0};

bool group_over() { return replica->control().phase.load() >= GroupPhase::kEnding; }

// After an orderly end nobody takes over. The supervisor ends the followers; without one they go by
// themselves.
[[noreturn]] void wait_for_the_end() {
  sleep_ns(kLeaveAfterEndNs);
  while (replica->control().supervisor.seems_held()) sleep_ns(kLeaveAfterEndNs / 10);
  raw_syscall(SYS_exit_group, 0);
  for (;;) raw_syscall(SYS_pause);
}

void first_role() {
  GroupControl& control = replica->control();
  const auto taken = control.leadership.try_lock(real_mutex_calls());
  const bool first = control.epoch.load() == 0;
  if (taken == stm::RobustLock::Taken::kClean && first && replica->log().end() == 0) {
    lead_from_the_start();
  } else {
    if (taken == stm::RobustLock::Taken::kClean || taken == stm::RobustLock::Taken::kOwnerDied)
      control.leadership.unlock(real_mutex_calls());
    replay.start(replica->log().begin());
    hold_standard_output_back();
    schedule_as_follower();
    replica->set_mode(Mode::kFollower);
    replica->slot().role.store(Role::kJoining);
  }
}

void* steward(void*) {
  os::MetaLevel meta;
  name_own_thread("auxin-steward");
  GroupControl& control = replica->control();
  const auto life = replica->slot().life.lock(real_mutex_calls());
  CHECK(life != stm::RobustLock::Taken::kFailed, "a replica's life lock can be taken");
  static checkpoint::SavedContext watching;
  this_is_the_steward(&watching);
  replica->enter();
  first_role();
  role_known.store(1, std::memory_order_release);
  futex_wake(&role_known, 0x7fffffff);
  auxin_save_context(&watching);
  while (!replica->leads()) {
    // With a time limit: a waiter that is killed just when it is woken may leave the next one
    // asleep.
    const auto taken = control.leadership.lock_for(real_mutex_calls(), kElectionLookUs);
    if (taken == stm::RobustLock::Taken::kBusy && !group_over()) continue;
    if (group_over()) {
      if (taken == stm::RobustLock::Taken::kClean || taken == stm::RobustLock::Taken::kOwnerDied)
        control.leadership.unlock(real_mutex_calls());
      wait_for_the_end();
    }
    CHECK(taken != stm::RobustLock::Taken::kFailed, "the leadership lock can be taken");
    if (monotonic_ns() < control.end_asked_until_ns.load()) {
      control.leadership.unlock(real_mutex_calls());
      sleep_ns(kLeaderTickNs);  // the supervisor makes it the end, or nobody does and time passes
      continue;
    }
    bool promoted;
    {
      const LivePart publishes;
      promoted = promote();
    }
    if (!promoted) {
      control.leadership.unlock(real_mutex_calls());
      sleep_ns(1'000'000);  // give the better one time to take it
    }
  }
  for (;;) raw_syscall(SYS_pause);  // holds leadership and life until the process ends
}

// --- the tender ---

os::CounterRow counted_before[os::kMaxSiteClasses];  // as a follower

void publish_counters() {
  GroupControl& control = replica->control();
  static os::CounterRow rows[os::kMaxSiteClasses];
  os::sum_counters(rows);
  const uint32_t classes = os::counters().class_count.load();
  for (uint32_t i = 0; i < classes; ++i) {
    if (control.classes[i].library[0] == '\0') control.classes[i] = os::counters().classes[i];
    control.leader_rows[i] = os::CounterRow{rows[i].total - counted_before[i].total,
                                            rows[i].intercepted - counted_before[i].intercepted,
                                            rows[i].ordered - counted_before[i].ordered};
  }
  control.class_count.store(classes);
}

void watch_leader() {
  static uint64_t seen = 0;
  static uint64_t patience_ns = 0;  // of this process's own running time
  static uint64_t last_ns = 0;
  GroupControl& control = replica->control();
  const int leader = control.leader.load();
  if (leader < 0 || leader == replica->id()) return;
  const uint64_t beat = control.replicas[leader].heartbeat.load();
  const uint64_t now_ns = monotonic_ns();
  // A long step of the clock between two looks was this process not running (or the host): the
  // leader gets only as much blame as one ordinary look.
  const uint64_t step_ns = now_ns - last_ns;
  last_ns = now_ns;
  if (beat != seen) {
    seen = beat;
    patience_ns = 0;
    return;
  }
  patience_ns += step_ns < 20'000'000 ? step_ns : 20'000'000;
  if (patience_ns < uint64_t{control.settings.hang_ms} * 1'000'000) return;
  patience_ns = 0;
  const int pid = control.replicas[leader].pid.load();
  if (pid <= 0 || !control.replicas[leader].life.seems_held()) return;
  control.hung_pid.store(pid);
  raw_syscall(SYS_kill, pid, SIGKILL);
}

void tend_follower() {
  const uint64_t poll_ns = uint64_t{replica->settings().follower_poll_us} * 1000;
  uint64_t idle = 0;
  bool wakes = true;  // those who waited when this process's image was taken of a leader
  while (!replica->leads()) {
    if (wakes) wakes = wake_restored_waits();
    ReplicaSlot& slot = replica->slot();  // another one in a restored process
    const int taken = replay.pump();
    replay.notice_unread();
    slot.heartbeat.fetch_add(1, std::memory_order_relaxed);
    const uint64_t lag = replica->log().end() - replay.low();
    if (slot.role.load() == Role::kJoining && replica->control().epoch.load() > 0 &&
        lag < kReadyLagEntries && replay.low() > 0) {
      slot.role.store(Role::kFollower);
      slot.ready.store(1);
    }
    watch_leader();
    watch_for_stall(replay.low(), lag > 0);
    if (group_over() && !replica->control().supervisor.seems_held()) wait_for_the_end();
    if (taken > 0) idle = 0;
    else ++idle;
    // After long idleness look less often, and let a takeover or a busy leader wake us.
    sleep_ns(idle < 2000 ? poll_ns : poll_ns * 4);
  }
}

void tend_leader(uint64_t tick) {
  const LivePart publishes;
  if (!publishes.leads()) return;
  replica->slot().heartbeat.fetch_add(1, std::memory_order_relaxed);
  replica->slot().position.store(replica->log().end(), std::memory_order_relaxed);
  tend_log();
  reserve_log_ahead();
  flush_pending_output();
  if (tick % kCountersEveryTicks == 0) publish_counters();
  look_at_recording_request();
}

void* tender(void*) {
  os::MetaLevel meta;
  name_own_thread("auxin-tender");
  replica->enter();
  for (uint64_t tick = 0;; ++tick) {
    if (!replica->leads()) tend_follower();
    tend_leader(tick);
    sleep_ns(kLeaderTickNs);
  }
}

void* counter(void*) {
  os::MetaLevel meta;
  name_own_thread("auxin-counter");
  for (;;) {
    replica->slot().heartbeat.fetch_add(1, std::memory_order_relaxed);
    publish_counters();
    look_at_recording_request();
    sleep_ns(kLeaderTickNs * kCountersEveryTicks);
  }
}

}  // namespace

void count_from_here() { os::sum_counters(counted_before); }

void start_counting() {
  os::MetaLevel meta;
  start_own_thread(counter);
}

void start_steward() {
  os::MetaLevel meta;
  start_own_thread(steward);
  while (role_known.load(std::memory_order_acquire) == 0) futex_wait(&role_known, 0, 0);
  start_own_thread(tender);
  start_saver();
}

}  // namespace auxin::replication
