// SPDX-License-Identifier: Apache-2.0
#include "replication/group_end.h"

#include "replication/futex.h"
#include "replication/live_part.h"
#include "replication/log_writer.h"
#include "replication/rehearsal/rehearsal.h"
#include "replication/replay.h"
#include "replication/replica.h"
#include "replication/steward.h"

namespace auxin::replication {
namespace {

// What is left then nobody takes any more: a connection that the ORB makes to itself to wake its
// acceptor is accepted in the leader, but a follower's acceptor has ended without it.
constexpr uint64_t kStandstillNs = 50'000'000;

}  // namespace

void end_group(int status) {
  GroupControl& control = replica->control();
  while (rehearsing()) raw_syscall(SYS_pause);  // the rehearsal's own thread ends it
  uint64_t low = replay.low(), moved_ns = monotonic_ns();
  while (!replica->leads()) {
    replay.pump();
    if (control.phase.load() >= GroupPhase::kEnding && replay.low() >= replica->log().end()) return;
    if (replay.low() != low || control.phase.load() < GroupPhase::kEnding) {
      low = replay.low();
      moved_ns = monotonic_ns();
    } else if (monotonic_ns() - moved_ns > kStandstillNs) {
      return;
    }
    sleep_ns(1'000'000);
  }
  replica->enter();
  const LivePart publishes;
  if (control.phase.load() >= GroupPhase::kEnding) return;
  stm::LogEntry entry{};
  entry.kind = kExit;
  entry.number = static_cast<uint64_t>(status);
  append(entry);
  control.exit_status.store(status);
  control.phase.store(GroupPhase::kEnding);
}

void leave_group_in_child() { replica = nullptr; }

void count_only() {
  GroupControl& control = replica->control();
  control.group_pid.store(replica->pid());
  control.leader.store(replica->id());
  control.leader_pid.store(replica->pid());
  control.epoch.fetch_add(1);
  control.phase.store(GroupPhase::kRunning);
  replica->slot().role.store(Role::kLeader);
  start_counting();
}

}  // namespace auxin::replication
