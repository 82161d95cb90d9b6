// SPDX-License-Identifier: Apache-2.0
//
// The supervisor: starts a group's replicas, restarts the dead and brings the group to its end.
//
// It decides nothing about who leads: replicas elect and promote themselves, and they run on if the
// supervisor dies. It only watches processes and the group's words:
//
//   replica 0 ──became the leader──▶ all started ──all ready──▶ ready file
//   a replica ends by a signal, or a follower in whatever way  ──back-off──▶ started again
//   the leader exits   ──followers catch up (≤ 2 s)──▶ all killed, state removed, its status
//   two replicas crash in one request                 ──▶ group stopped, state kept, status 1
//   the log no longer reaches back to its start       ──▶ the dead stay dead
//   passive: the leader ends                          ──▶ a backup takes over (its own file)
//
// Thread safety: one thread, which must have the signals of SupervisorSignals blocked.
#pragma once

#include <signal.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/portable/portable_image.h"
#include "replication/supervisor/checkpoints.h"
#include "replication/supervisor/death_times.h"
#include "replication/supervisor/descriptor.h"
#include "replication/supervisor/group_start.h"
#include "replication/supervisor/poison_watch.h"
#include "replication/supervisor/progress.h"
#include "replication/supervisor/replica_process.h"
#include "replication/supervisor/state_work.h"

namespace auxin::supervisor {

// Blocks the signals that the supervisor takes from a descriptor, for the object's life. Made
// before anything that a signal should not leave half done.
class SupervisorSignals {
 public:
  SupervisorSignals();
  ~SupervisorSignals();
  SupervisorSignals(const SupervisorSignals&) = delete;
  SupervisorSignals& operator=(const SupervisorSignals&) = delete;

  const Descriptor& descriptor() const { return descriptor_; }
  // What a replica begins with.
  void restore_in(Launch& launch) const;

 private:
  sigset_t before_;
  bool ignored_broken_pipe_;
  Descriptor descriptor_;
};

struct SupervisorOptions {
  bool end_at_once = false;             // adopt only to end
  int64_t kill_after_ms = 0;            // with end_at_once: the patience for an orderly end
  // Given to the server's objects before the group is told ready.
  std::optional<checkpoint::PortableImage> state;
};

class Supervisor {
 public:
  Supervisor(PreparedGroup group, const SupervisorSignals& signals, const Progress& progress,
             SupervisorOptions options = {});

  // Until the group has ended; the exit status for the command.
  int run();

 private:
  using Clock = int64_t;  // ms, steady

  // The loop's steps.
  void take_signals();
  void reap();
  void look_at_replicas();
  void start_what_is_due();
  void look_at_phase();
  void look_at_log();
  void listen_for_deaths();
  void tell_promotions();
  void appear_ready();
  void watch_poison();
  void go_on_ending();
  int wait_timeout_ms() const;

  // Replicas.
  void adopt_replicas();
  // `standby`: with a pidfd, it stands by.
  bool start(int id, const StandbyEnds& standby = {});
  Result<int> start_process(int id, bool again, const StandbyEnds& standby);
  void look_at_checkpoints();
  bool checkpoint_may_come() const;
  void left_out_replicas_may_return();
  void replica_ended(int id);
  void schedule_restart(int id);
  bool poisoned(int id);
  bool ended_as_asked(const std::optional<int>& status) const;
  int leader() const;  // whose server runs and leads; -1: none
  int running_count() const;

  // Passive styles.
  bool passive() const;
  bool executes(int id) const;
  void retire(int id);
  void note_backups();
  int next_backup() const;
  void tend_backups();
  void tend_standby(int leading);
  void update_standby(const CheckpointSummary& checkpoint);
  void watch_leader(int leading);

  // What commands ask for.
  void look_at_wishes();
  void switch_style(replication::Style wanted);
  void restore(uint64_t number);
  void answer_wish(bool done, const std::string& text);
  void start_backups();

  // States by the application's own methods.
  bool state_is_given();
  bool refuse_state(const std::string& fault);
  void look_at_states();

  // The end.
  void forward(int signal);
  void forward_to(int id, int signal);
  void begin_ending(int leader_id, std::optional<int> status);
  void ended_before_ready(int id);
  void stop_group(const std::string& reason);
  void kill_group(int spared_replica);
  bool members_left(int spared_replica) const;
  void finish(int status);

  replication::GroupControl& control() { return group_.memory.control(); }
  const replication::GroupControl& control() const { return group_.memory.control(); }
  replication::ReplicaSlot& slot(int id) { return control().replicas[id]; }
  bool logged() const { return control().style.load() != replication::Style::kNone; }
  std::vector<RequestInHand> requests_in_hand(int id) const;

  PreparedGroup group_;
  const SupervisorSignals& signals_;
  Progress progress_;
  SupervisorOptions options_;
  int count_;
  ReplicaProcess processes_[replication::kMaxReplicas];
  bool left_out_[replication::kMaxReplicas] = {};   // not started any more
  int divergences_[replication::kMaxReplicas] = {};
  Checkpoints checkpoints_;
  uint64_t restored_from_[replication::kMaxReplicas] = {};  // checkpoint it began with; 0: none
  struct Standby {
    int id = -1;            // -1: nobody stands by
    uint64_t base = 0;      // of its image
    uint64_t newest = 0;    // checkpoint that it has, or that is on its way to it
    Descriptor updates;     // paths of newer ones go in here
    int leader_pid = 0;     // at whose end it begins
  };
  Standby standby_;
  bool retired_[replication::kMaxReplicas] = {};  // ended by us, to become a backup
  std::optional<Clock> without_leader_since_ms_;
  int watched_leader_ = -1;
  uint64_t leader_beat_ = 0;
  Clock leader_silent_since_ms_ = 0;
  std::string restoring_;        // what to tell when it is done; "": nothing is being restored
  uint64_t switch_asked_ = 0;    // checkpoint that a change of style waits for; 0: none
  StateWork state_work_;
  bool state_given_ = false;
  std::string told_state_fault_;
  Clock next_states_ms_ = 0;     // 0: at once
  PoisonWatch poison_watch_;
  DeathTimes deaths_;

  Clock now_ms_ = 0;
  bool all_started_ = false;
  bool was_ready_ = false;
  bool said_before_ready_ = false;
  uint32_t promotions_told_ = 0;
  int log_warning_percent_ = 0;
  bool told_rejoin_impossible_ = false;
  Clock next_slow_look_ms_ = 0;

  int pending_signal_ = 0;
  Clock pending_since_ms_ = 0;
  int forwarded_signal_ = 0;       // the last one given to a server
  bool forwarded_to_all_ = false;
  std::optional<Clock> kill_at_ms_;

  enum class Ending { kNot, kLeaderEnds, kFollowersFinish, kKilling };
  Ending ending_ = Ending::kNot;
  int ending_leader_ = -1;
  std::optional<int> ending_status_;
  Clock ending_deadline_ms_ = 0;

  std::optional<int> result_;
};

}  // namespace auxin::supervisor
