// SPDX-License-Identifier: Apache-2.0
#include "replication/promotion.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "libmeta_os/counters.h"
#include "libmeta_os/descriptor_table.h"
#include "replication/activity.h"
#include "replication/connection.h"
#include "replication/divergence.h"
#include "replication/follower_scheduling.h"
#include "replication/futex.h"
#include "replication/kill_points.h"
#include "replication/listener.h"
#include "replication/log_writer.h"
#include "replication/replay.h"
#include "replication/replica.h"
#include "replication/standard_output.h"
#include "replication/steward.h"

namespace auxin::replication {
namespace {

constexpr uint32_t kFenceLookUs = 20'000;  // between two looks at whose thread it is
constexpr uint64_t kDrainPatienceNs = 10'000'000'000;

uint64_t realtime_ns() {
  timespec now;
  raw_syscall(SYS_clock_gettime, CLOCK_REALTIME, reinterpret_cast<long>(&now));
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

// --- elect ---

bool able(const ReplicaSlot& slot) {
  const Role role = slot.role.load();
  return (role == Role::kFollower || role == Role::kPromoting) && slot.excluded.load() == 0 &&
         slot.life.seems_held();
}

// The live follower that is furthest on, or this one.
int best_candidate() {
  GroupControl& control = replica->control();
  int best = replica->id();
  bool best_able = able(replica->slot());
  uint64_t best_position = replay.low();
  for (int id = 0; id < kMaxReplicas; ++id) {
    const ReplicaSlot& other = control.replicas[id];
    if (id == replica->id() || !able(other)) continue;
    const uint64_t position = other.position.load();
    // A little further on is not worth the time of a hand-over.
    if (!best_able || position > best_position + 256) {
      best = id;
      best_able = true;
      best_position = position;
    }
  }
  return best;
}

// --- fence ---

// Waits until every thread of the process `pid` of replica `id` that could touch log or sockets has
// ended. A later process of the same replica may be running already: it is left alone.
void fence(int id, int pid) {
  GroupControl& control = replica->control();
  ReplicaSlot& old = control.replicas[id];
  if (pid > 0 && old.pid.load() == pid && old.life.seems_held()) {
    const long pidfd = raw_syscall(SYS_pidfd_open, pid, 0);
    if (pidfd >= 0) {
      raw_syscall(SYS_pidfd_send_signal, pidfd, SIGKILL);
      raw_syscall(SYS_close, pidfd);
    }
  }
  // Blocked, not spinning: the dying threads need the processor.
  for (ThreadSlot& thread : control.threads[id]) {
    while (thread.pid.load() == pid && thread.life.seems_held()) {
      const auto taken = thread.life.lock_for(real_mutex_calls(), kFenceLookUs);
      if (taken == stm::RobustLock::Taken::kBusy) continue;
      thread.life.unlock(real_mutex_calls());
      break;
    }
  }
}

// --- the promotion record ---

void record_promotion(int from, int from_pid, uint64_t detected_ns) {
  GroupControl& control = replica->control();
  const uint32_t index = control.promotion_count.load();
  PromotionRecord& record = control.promotions[index % kMaxPromotions];
  record.sequence.fetch_add(1);
  record.epoch = control.epoch.load();
  record.from = from;
  record.to = replica->id();
  record.reason = control.hung_pid.load() == from_pid && from_pid > 0 ? 1 : 0;
  record.from_pid = from_pid;
  record.detected_ns = detected_ns;
  record.serving_ns = monotonic_ns();
  record.died_ns.store(0);
  record.at_realtime_ns = realtime_ns();
  record.log_position = replica->log().end();
  record.sequence.fetch_add(1);
  control.promotion_count.store(index + 1);
}

// The lowest entry that was not consumed is never reached here: this replica can't lead. It counts
// as a divergence, so that replicas that all fail so do not take turns for ever.
[[noreturn]] void fail_to_drain() {
  stm::LogEntry entry{};
  replica->log().read(replay.low(), &entry);
  diverge("it can't lead: log entry %llu (kind %u, form %u, %s %llu, step %u) is not reached here",
          static_cast<unsigned long long>(replay.low()), entry.kind, entry.call,
          is_request(entry.activity) ? "a request of connection" : "activity",
          static_cast<unsigned long long>(is_request(entry.activity)
                                              ? activity_connection(entry.activity)
                                              : entry.activity),
          entry.step);
}

void carry_counts_over() {
  // What earlier leaders counted becomes the base of this one's.
  GroupControl& control = replica->control();
  const uint32_t classes = control.class_count.load();
  for (uint32_t i = 0; i < classes; ++i) {
    control.base_rows[i].total += control.leader_rows[i].total;
    control.base_rows[i].intercepted += control.leader_rows[i].intercepted;
    control.base_rows[i].ordered += control.leader_rows[i].ordered;
    control.leader_rows[i] = os::CounterRow{};
  }
  count_from_here();
}

void announce_leader() {
  GroupControl& control = replica->control();
  control.leader_pid.store(replica->pid());
  control.leader_keeper_pid.store(replica->slot().keeper_pid.load());
  control.leader.store(replica->id());
}

void append_epoch() {
  stm::LogEntry entry{};
  entry.kind = kEpoch;
  entry.object = replica->control().epoch.load();
  entry.number = static_cast<uint64_t>(replica->id());
  append(entry);
}

}  // namespace

void lead_from_the_start() {
  GroupControl& control = replica->control();
  announce_leader();
  control.group_pid.store(replica->pid());
  control.epoch.store(1);
  control.rejoin_possible.store(1);
  replica->slot().role.store(Role::kLeader);
  control.phase.store(GroupPhase::kRunning);
  replica->memory().reserve_log(1 << 14, 4 << 20);
  replica->set_mode(Mode::kLeader);
  append_epoch();
}

bool promote() {
  GroupControl& control = replica->control();
  const uint64_t detected_ns = monotonic_ns();
  const int best = best_candidate();
  if (best != replica->id()) return false;
  const int from = control.leader.load();
  kill_point(KillPoint::kPromotionElected);
  replica->slot().role.store(Role::kPromoting);
  const int from_keeper = control.leader_keeper_pid.load();
  const int from_pid = control.leader_pid.load();
  if (from >= 0) fence(from, from_pid);
  announce_leader();  // from now on this process is to be fenced by the next
  kill_point(KillPoint::kPromotionFenced);

  replica->log().seal_holes();
  kill_point(KillPoint::kPromotionSealed);
  control.epoch.fetch_add(1);
  append_epoch();
  kill_point(KillPoint::kPromotionEpoch);

  // Everything that was logged must be known here before bytes are counted.
  const uint64_t end = replica->log().end();
  while (replay.read_position() < end) {
    if (replay.pump() == 0) sleep_ns(100'000);
  }
  Connection::for_each_open([](Connection& c, void*) { c.fetch(); }, nullptr);
  kill_point(KillPoint::kPromotionFetched);
  Connection::free_slots_not_logged();
  Listener::adopt_orphans(from_keeper);
  kill_point(KillPoint::kPromotionAdopted);
  Connection::for_each_open([](Connection& c, void*) { c.recover_input(); }, nullptr);
  kill_point(KillPoint::kPromotionInput);
  Connection::for_each([](Connection& c, void*) { c.recover_output(); }, nullptr);
  kill_point(KillPoint::kPromotionOutput);

  replica->set_mode(Mode::kPromoting);
  schedule_as_leader();
  carry_counts_over();
  const uint64_t final_end = replica->log().end();
  uint64_t last_low = 0, moved_ns = monotonic_ns();
  while (replay.low() < final_end) {
    if (replay.pump() == 0) sleep_ns(50'000);
    if (replay.low() != last_low) {
      last_low = replay.low();
      moved_ns = monotonic_ns();
    } else if (monotonic_ns() - moved_ns > kDrainPatienceNs) {
      fail_to_drain();
    }
  }
  kill_point(KillPoint::kPromotionDrained);

  Connection::for_each_open([](Connection& c, void*) { c.publish_holder(); }, nullptr);
  Listener::publish_holders();
  release_standard_output();
  tend_log();  // which followers count, before the first request asks
  replica->set_mode(Mode::kLeader);
  replay.wake_everything();
  replica->slot().role.store(Role::kLeader);
  replica->slot().ready.store(1);
  control.phase.store(GroupPhase::kRunning);
  record_promotion(from, from_pid, detected_ns);
  kill_point(KillPoint::kPromotionServing);
  return true;
}

void flush_pending_output() {
  Connection::for_each_open([](Connection& connection, void*) {
    connection.flush_if_idle();
  }, nullptr);
}

}  // namespace auxin::replication
