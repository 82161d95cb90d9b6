// SPDX-License-Identifier: Apache-2.0
//
// How a group ends: in an orderly way (the leader's exit, SIGTERM), before it was ready, or stopped
// for cause.
//
// An orderly end removes the group's state; a stopped group keeps it, to be looked at and resumed.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "replication/futex.h"
#include "replication/supervisor/processes.h"
#include "replication/supervisor/sentence.h"
#include "replication/supervisor/supervisor.h"

namespace auxin::supervisor {
namespace {

using replication::GroupPhase;
using replication::Role;

constexpr int64_t kFollowersFinishMs = 2000;
constexpr int64_t kKillingPatienceMs = 10000;
constexpr int64_t kPromotionPatienceMs = 1000;
constexpr uint64_t kEndAskedNs = 10'000'000'000;
constexpr int kNobodySpared = -1;

}  // namespace

// A request to end, from a signal to the supervisor: to the leader only, so that the end is one of
// its steps; to all while there is none.
void Supervisor::forward(int signal) {
  if (ending_ == Ending::kLeaderEnds) {
    forward_to(ending_leader_, signal);
    return;
  }
  if (ending_ != Ending::kNot) return;
  if (const int id = leader(); id >= 0) {
    pending_signal_ = 0;
    forward_to(id, signal);
    return;
  }
  for (ReplicaProcess& process : processes_) process.restart_at_ms.reset();
  if (running_count() == 0) {
    pending_signal_ = 0;
    begin_ending(kNobodySpared, signal);
    return;
  }
  if (logged() && control().epoch.load() > 0) {
    // A promotion is under way: its winner shall get the signal.
    if (pending_signal_ == 0) {
      pending_signal_ = signal;
      pending_since_ms_ = now_ms_;
      return;
    }
    if (now_ms_ - pending_since_ms_ < kPromotionPatienceMs) return;
  }
  pending_signal_ = 0;
  forwarded_to_all_ = true;
  for (int id = 0; id < count_; ++id) forward_to(id, signal);
}

void Supervisor::forward_to(int id, int signal) {
  if (id < 0 || id >= count_) return;
  const int target = processes_[id].signal_target();
  if (target == 0) return;
  // A server without a handler dies of it, which looks like a crash to its followers: they are told
  // beforehand that it is the end.
  if (target > 0 && id == leader() && control().phase.load() == GroupPhase::kRunning &&
      would_die_of(target, signal)) {
    control().exit_status.store(128 + signal);
    control().phase.store(GroupPhase::kEnding);
  }
  if (id == leader()) {
    control().end_asked_until_ns.store(replication::monotonic_ns() + kEndAskedNs);
  }
  forwarded_signal_ = signal;
  kill(target, signal);
}

void Supervisor::begin_ending(int leader_id, std::optional<int> status) {
  if (ending_ != Ending::kNot) return;
  ending_ = Ending::kLeaderEnds;
  ending_leader_ = leader_id;
  ending_status_ = status;
  if (control().phase.load() < GroupPhase::kEnding) control().phase.store(GroupPhase::kEnding);
  for (ReplicaProcess& process : processes_) process.restart_at_ms.reset();
}

void Supervisor::go_on_ending() {
  if (kill_at_ms_ && now_ms_ >= *kill_at_ms_) {
    kill_at_ms_.reset();
    progress_.event("did not end in time: killed");
    begin_ending(kNobodySpared, SIGKILL);
    ending_ = Ending::kKilling;
    ending_leader_ = kNobodySpared;
    ending_status_ = SIGKILL;
    ending_deadline_ms_ = now_ms_ + kKillingPatienceMs;
  }
  switch (ending_) {
    case Ending::kNot: return;
    case Ending::kLeaderEnds: {
      const int id = ending_leader_;
      const bool known = id >= 0 && id < count_;
      if (known && processes_[id].runs()) return;
      if (!ending_status_ && known) ending_status_ = processes_[id].child_status();
      ending_ = Ending::kFollowersFinish;
      ending_deadline_ms_ = now_ms_ + kFollowersFinishMs;
      [[fallthrough]];
    }
    case Ending::kFollowersFinish: {
      // What followers write outside (their own files) shall be as complete as the leader's.
      const uint64_t end = group_.memory.log().end();
      bool behind = false;
      for (int id = 0; id < count_; ++id) {
        behind |= processes_[id].runs() && slot(id).role.load() == Role::kFollower &&
                  slot(id).position.load() < end;
      }
      if (behind && now_ms_ < ending_deadline_ms_) return;
      ending_ = Ending::kKilling;
      ending_deadline_ms_ = now_ms_ + kKillingPatienceMs;
      [[fallthrough]];
    }
    case Ending::kKilling: {
      // The leader's own children outlive it as they would without us.
      kill_group(ending_leader_);
      if ((running_count() > 0 || members_left(ending_leader_)) && now_ms_ < ending_deadline_ms_) {
        return;
      }
      const int status = ending_status_ ? shell_status(*ending_status_)
                                        : control().exit_status.load() & 0xff;
      if (!was_ready_ && !said_before_ready_ && forwarded_signal_ == 0 && status != 0) {
        progress_.error(fmt::format("the server exited with status {} before it was ready; what it "
                                    "said itself stands above",
                                    status));
      }
      control().phase.store(GroupPhase::kEnded);
      finish(status);
      return;
    }
  }
}

// No replica ever led: this is the server's own failure to start, or a program that is no server.
void Supervisor::ended_before_ready(int id) {
  const auto status = processes_[id].child_status();
  if (forwarded_signal_ == 0) {
    progress_.error(fmt::format("the server {} before it was ready; what it said itself stands "
                                "above",
                                status ? describe_wait_status(*status) : "ended"));
    said_before_ready_ = true;
  }
  begin_ending(id, status);
}

void Supervisor::stop_group(const std::string& reason) {
  if (result_) return;
  store_text(control().stop_reason, reason);
  control().phase.store(GroupPhase::kStopped);
  for (ReplicaProcess& process : processes_) {
    process.restart_at_ms.reset();
    process.signal_all(SIGKILL);
  }
  kill_members(group_.launch.memory_path);
  reap();
  for (int id = 0; id < count_; ++id) {
    auto& words = slot(id);
    words.pid.store(0);
    words.child_pid.store(0);
    words.ready.store(0);
    if (words.role.load() != Role::kDiverged) words.role.store(Role::kDead);
  }
  progress_.error(fmt::format("the group is stopped: {}; look at it with `auxin status`, start it "
                              "anew with --fresh or try again with --resume",
                              reason));
  group_.ready_file.remove();
  result_ = 1;
}

// SIGKILL to all processes of the group but those of the spared replica's that are not its keeper.
void Supervisor::kill_group(int spared_replica) {
  for (int id = 0; id < count_; ++id) {
    if (id != spared_replica) processes_[id].signal_all(SIGKILL);
  }
  for (const Member& member : members_of(group_.launch.memory_path)) {
    if (member.replica == spared_replica && !member.keeper) continue;
    signal_process(open_process(member.pid), SIGKILL);
  }
}

bool Supervisor::members_left(int spared_replica) const {
  const auto members = members_of(group_.launch.memory_path);
  return std::any_of(members.begin(), members.end(), [&](const Member& member) {
    return member.replica != spared_replica || member.keeper;
  });
}

// The group is over and leaves nothing behind.
void Supervisor::finish(int status) {
  group_.ready_file.remove();
  control().supervisor_pid.store(0);
  control().supervisor.unlock(stm::plain_mutex_calls());
  group_.directory.remove(group_.record.root_created);
  result_ = status;
}

}  // namespace auxin::supervisor
