// SPDX-License-Identifier: Apache-2.0
//
// The passive styles.
//
//   leader runs    warm: one backup stands by, with the newest checkpoint in its memory; it waits
//                  for the end of the leader's process by itself, whether this supervisor lives or
//                  not. What changed at a newer checkpoint is added to its memory; a newer base, or
//                  another leader: a new one takes its place.
//   leader ends    who stood by goes on from the checkpoint, through the log, and leads; where
//                  nobody did (cold, or it ended too), the next backup is started now.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "replication/futex.h"
#include "replication/supervisor/sentence.h"
#include "replication/supervisor/supervisor.h"

namespace auxin::supervisor {

using replication::ReplicaSlot;
using replication::Role;
using replication::Style;

namespace {

constexpr int64_t kStandbyPatienceMs = 2000;  // from the leader's end until it shows itself

bool is_backup(const ReplicaSlot& slot) { return slot.role.load() == Role::kBackup; }

}  // namespace

bool Supervisor::passive() const { return replication::is_passive(control().style.load()); }

bool Supervisor::executes(int id) const {
  return processes_[id].runs() && !is_backup(control().replicas[id]);
}

// It ends for no fault of its own.
void Supervisor::retire(int id) {
  if (!retired_[id]) processes_[id].signal_all(SIGKILL);
  retired_[id] = true;
}

// Whoever has waited long enough after its end is a backup again.
void Supervisor::note_backups() {
  for (int id = 0; id < count_; ++id) {
    ReplicaProcess& process = processes_[id];
    if (process.runs() || left_out_[id]) continue;
    if (process.restart_at_ms && *process.restart_at_ms > now_ms_) continue;
    process.restart_at_ms.reset();
    slot(id).role.store(Role::kBackup);
  }
}

// The one after the last leader; -1: none is to be had now.
int Supervisor::next_backup() const {
  const int last = std::max(control().leader.load(), 0);
  for (int step = 1; step <= count_; ++step) {
    const int id = (last + step) % count_;
    if (!processes_[id].runs() && !left_out_[id] && is_backup(control().replicas[id])) return id;
  }
  return -1;
}

void Supervisor::tend_backups() {
  note_backups();
  // One whose threads end is succeeded before all of its process is gone.
  const int last = leader();
  const int leading = last >= 0 && slot(last).life.seems_held() ? last : -1;
  bool executing = false;
  for (int id = 0; id < count_; ++id) {
    executing = executing || executes(id);
    // A follower of the style before, one that was too late to lead, one that another supervisor
    // had standing by.
    if (leading >= 0 && id != leading && processes_[id].runs() && id != standby_.id) retire(id);
  }
  if (standby_.id >= 0 && (!processes_[standby_.id].runs() || executes(standby_.id))) {
    standby_ = {};
  }
  if (leading >= 0) {
    without_leader_since_ms_.reset();
    watch_leader(leading);
    tend_standby(leading);
    return;
  }
  if (!without_leader_since_ms_) without_leader_since_ms_ = now_ms_;
  if (executing) return;
  if (standby_.id >= 0) {
    if (now_ms_ - *without_leader_since_ms_ > kStandbyPatienceMs) retire(standby_.id);
    return;
  }
  if (const int id = next_backup(); id >= 0) start(id);
}

void Supervisor::tend_standby(int leading) {
  const uint64_t newest = control().checkpoint_number.load();
  const int leader_pid = processes_[leading].server_pid();
  if (standby_.id >= 0) {
    if (control().style.load() != Style::kWarmPassive || standby_.newest != newest ||
        standby_.leader_pid != leader_pid)
      retire(standby_.id);
    return;
  }
  if (control().style.load() != Style::kWarmPassive || newest == 0 || leader_pid == 0) return;
  const auto checkpoint = checkpoints_.usable();
  const int id = next_backup();
  if (id < 0 || !checkpoint) return;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return;
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  fcntl(writing.get(), F_SETFL, O_NONBLOCK);  // who does not read is replaced, not waited for
  if (!start(id, {processes_[leading].server_pidfd(), reading.get()})) return;
  standby_ = Standby{id, checkpoint->base, newest, std::move(writing), leader_pid};
}

// Before the log is released up to it: should the leader end now, who stands by has what it needs.
void Supervisor::update_standby(const CheckpointSummary& checkpoint) {
  if (standby_.id < 0 || checkpoint.base != standby_.base ||
      checkpoint.number != standby_.newest + 1)
    return;  // it is replaced
  const std::string& path = checkpoint.segments.back();
  if (write(standby_.updates.get(), path.c_str(), path.size() + 1) !=
      static_cast<ssize_t>(path.size() + 1))
    return;
  standby_.newest = checkpoint.number;
  restored_from_[standby_.id] = checkpoint.number;
}

// No follower watches it.
void Supervisor::watch_leader(int leading) {
  const uint64_t beat = slot(leading).heartbeat.load();
  if (beat != leader_beat_ || leading != watched_leader_) {
    watched_leader_ = leading;
    leader_beat_ = beat;
    leader_silent_since_ms_ = now_ms_;
    return;
  }
  if (now_ms_ - leader_silent_since_ms_ < control().settings.hang_ms) return;
  leader_silent_since_ms_ = now_ms_;
  control().hung_pid.store(processes_[leading].server_pid());
  processes_[leading].signal_all(SIGKILL);
}

}  // namespace auxin::supervisor
