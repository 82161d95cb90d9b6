// SPDX-License-Identifier: Apache-2.0
//
// The loop, and the life of replicas. How a group ends is in supervisor_ending.cpp.
#include "replication/supervisor/supervisor.h"

#include <fmt/format.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "replication/activity.h"
#include "replication/futex.h"
#include "replication/supervisor/initial_copy.h"
#include "replication/supervisor/installation.h"
#include "replication/supervisor/processes.h"
#include "replication/supervisor/promotion_times.h"
#include "replication/supervisor/sentence.h"
#include "stmemu/check.h"

namespace auxin::supervisor {
namespace {

using replication::GroupPhase;
using replication::ReplicaSlot;
using replication::Role;

constexpr int kTransitionLookMs = 5;
constexpr int kSteadyLookMs = 200;
constexpr int64_t kSlowLookMs = 1000;
constexpr int64_t kPassiveDelayMs = 200;
constexpr int64_t kSettleMs = 20;  // deaths that happen together are seen together
constexpr int kMostDivergences = 3;
constexpr int64_t kLongLifeMs = 600'000;  // a divergence after so long is not the last one again
constexpr int kEndingSignals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
// They mean nothing to a supervisor, and one that died of them would leave its group alone.
constexpr int kIgnoredSignals[] = {SIGUSR1, SIGUSR2, SIGALRM};

int64_t steady_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// As nohup(1) leaves SIGHUP.
bool is_ignored(int signal) {
  struct sigaction action;
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

SupervisorSignals::SupervisorSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  for (const int signal : kEndingSignals) {
    // A blocked signal reaches the descriptor even if it was to be ignored.
    if (signal != SIGHUP || !is_ignored(SIGHUP)) sigaddset(&signals, signal);
  }
  for (const int signal : kIgnoredSignals) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, &before_);
  ignored_broken_pipe_ = ::signal(SIGPIPE, SIG_IGN) == SIG_IGN;
  descriptor_.reset(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  CHECK(descriptor_.valid(), "the kernel has signalfd");
}

SupervisorSignals::~SupervisorSignals() {
  if (!ignored_broken_pipe_) ::signal(SIGPIPE, SIG_DFL);
  sigprocmask(SIG_SETMASK, &before_, nullptr);
}

void SupervisorSignals::restore_in(Launch& launch) const {
  launch.signal_mask = before_;
  launch.ignore_broken_pipe = ignored_broken_pipe_;
}

namespace {

// A server with files of its own for each replica has to begin with these files as they were: only
// those of the log's start are kept.
std::string obstacle_to_checkpoints(const Launch& launch) {
  for (const std::string& word : launch.arguments)
    if (with_replica(word, 0) != word)
      return fmt::format("the server has files of its own for each replica ({}), which a "
                         "checkpoint does not hold yet; its replicas rejoin from the log's start",
                         word);
  return {};
}

}  // namespace

Supervisor::Supervisor(PreparedGroup group, const SupervisorSignals& signals,
                       const Progress& progress, SupervisorOptions options)
    : group_(std::move(group)),
      signals_(signals),
      progress_(progress),
      options_(options),
      count_(static_cast<int>(group_.memory.control().settings.replica_count)),
      checkpoints_(group_.memory, group_.directory.path(), obstacle_to_checkpoints(group_.launch)) {
  signals_.restore_in(group_.launch);
  checkpoints_.before_publishing(
      [this](const CheckpointSummary& checkpoint) { update_standby(checkpoint); });
}

int Supervisor::run() {
  // Descendants whose parents end become our children: their ends are told to us.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  now_ms_ = steady_ms();
  promotions_told_ = control().promotion_count.load();
  if (group_.kind == StartKind::kAdopt) {
    adopt_replicas();
  } else if (group_.kind == StartKind::kResume) {
    progress_.event(fmt::format("resuming from a log of {} entries", group_.memory.log().end()));
    all_started_ = true;
    if (!passive())
      for (int id = 0; id < count_ && !result_; ++id) start(id);
  } else {
    start(0);
  }
  if (options_.end_at_once && !result_) {
    kill_at_ms_ = now_ms_ + options_.kill_after_ms;
    forward(SIGTERM);
  }

  while (!result_) {
    std::vector<pollfd> entries = {{signals_.descriptor().get(), POLLIN, 0}};
    for (const ReplicaProcess& process : processes_) process.add_poll_entries(&entries);
    if (deaths_.descriptor() >= 0) entries.push_back({deaths_.descriptor(), POLLIN, 0});
    poll(entries.data(), entries.size(), wait_timeout_ms());
    now_ms_ = steady_ms();
    take_signals();
    listen_for_deaths();
    reap();
    look_at_phase();
    look_at_replicas();
    if (ending_ == Ending::kNot && !result_) {
      look_at_wishes();
      start_what_is_due();
      appear_ready();
      if (result_) break;
      watch_poison();
      look_at_log();
      look_at_checkpoints();
      look_at_states();
    }
    tell_promotions();
    if (!result_) go_on_ending();
  }
  return *result_;
}

int Supervisor::wait_timeout_ms() const {
  if (ending_ != Ending::kNot || pending_signal_ != 0 || !was_ready_ || checkpoints_.busy() ||
      switch_asked_ != 0 || !restoring_.empty() || (passive() && leader() < 0))
    return kTransitionLookMs;
  int64_t timeout_ms = kSteadyLookMs;
  for (int id = 0; id < count_; ++id) {
    const ReplicaProcess& process = processes_[id];
    if (process.in_transition()) return kTransitionLookMs;
    if (process.restart_at_ms) timeout_ms = std::min(timeout_ms, *process.restart_at_ms - now_ms_);
  }
  return static_cast<int>(std::max<int64_t>(timeout_ms, 0));
}

void Supervisor::take_signals() {
  signalfd_siginfo info;
  while (read(signals_.descriptor().get(), &info, sizeof(info)) == sizeof(info)) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGCHLD) continue;
    if (std::count(std::begin(kIgnoredSignals), std::end(kIgnoredSignals), signal) > 0) {
      progress_.detail(fmt::format("got {}: ignored", signal_name(signal)));
      continue;
    }
    progress_.detail(fmt::format("got {}: ending the group", signal_name(signal)));
    pending_signal_ = 0;
    forward(signal);
  }
  if (pending_signal_ != 0) forward(pending_signal_);
}

void Supervisor::reap() {
  int status = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    for (int id = 0; id < count_; ++id) processes_[id].reaped(slot(id), pid, status);
  }
}

void Supervisor::look_at_phase() {
  if (ending_ != Ending::kNot) return;
  const GroupPhase phase = control().phase.load();
  if (phase == GroupPhase::kEnding || phase == GroupPhase::kEnded) {
    begin_ending(control().leader.load(), {});
  } else if (phase == GroupPhase::kStopped) {
    stop_group(load_text(control().stop_reason));
  }
}

void Supervisor::look_at_replicas() {
  for (int id = 0; id < count_ && !result_; ++id) {
    const bool patient = ending_ != Ending::kNot && id == ending_leader_;
    if (processes_[id].look(slot(id), patient, now_ms_)) replica_ended(id);
  }
}

void Supervisor::adopt_replicas() {
  all_started_ = control().epoch.load() > 0;
  const std::vector<Member> members = members_of(group_.launch.memory_path);
  int adopted = 0;
  for (int id = 0; id < count_; ++id) {
    const ReplicaSlot& words = slot(id);
    int child = 0, server = 0;
    for (const Member& member : members) {
      if (member.replica != id || member.keeper) continue;
      if (member.pid == static_cast<int>(words.child_pid.load())) child = member.pid;
      if (member.pid == words.pid.load()) server = member.pid;
    }
    // A server may have overwritten its environment, but not its start time.
    const int entered = words.pid.load();
    if (server == 0 && process_lives(entered) &&
        start_time_ticks(entered) == words.start_time_ticks.load()) {
      server = entered;
    }
    if (child == 0 && server == 0) {
      for (const Member& member : members) {
        if (member.replica == id && !member.keeper) child = member.pid;
      }
    }
    if (child != 0 || server != 0) {
      processes_[id].adopted(child, server, now_ms_);
      ++adopted;
    } else if (words.incarnation.load() > 0) {
      slot(id).pid.store(0);
      slot(id).child_pid.store(0);
      slot(id).ready.store(0);
      if (words.role.load() != Role::kDiverged) slot(id).role.store(Role::kDead);
      processes_[id].restart_at_ms = now_ms_;
    }
  }
  if (!options_.end_at_once) {
    progress_.event(fmt::format("adopted the running group ({} of {} replicas live)", adopted,
                                count_));
  }
}

bool Supervisor::start(int id, const StandbyEnds& standby) {
  ReplicaSlot& words = slot(id);
  ReplicaProcess& process = processes_[id];
  process.restart_at_ms.reset();
  const bool again = words.incarnation.load() > 0;
  if (again && logged() && running_count() == 0 && !passive() && !checkpoints_.usable()) {
    // Who begins anew takes no descriptors over from a keeper, which would only hold the ports.
    kill_members(group_.launch.memory_path);
  }
  words.exit_known.store(0);
  words.wait_status.store(0);
  words.pid.store(0);
  words.start_time_ticks.store(0);
  words.position.store(0);
  words.ready.store(0);
  words.excluded.store(0);
  words.crash_activity_count.store(0);
  words.message[0] = '\0';
  words.role.store(standby.pidfd >= 0 ? Role::kBackup : Role::kAbsent);
  words.incarnation.fetch_add(1);

  retired_[id] = false;
  const Result<int> pid = start_process(id, again, standby);
  if (pid) {
    words.child_pid.store(static_cast<uint32_t>(pid.value()));
    process.started(pid.value(), now_ms_);
    if (standby.pidfd >= 0) {
      progress_.detail(fmt::format("replica {} stands by with checkpoint {} (pid {})", id,
                                   restored_from_[id], pid.value()));
    } else if (restored_from_[id] != 0) {
      progress_.event(fmt::format("replica {} restored from checkpoint {} (pid {})", id,
                                  restored_from_[id], pid.value()));
    } else if (again) {
      progress_.event(fmt::format("replica {} started again (pid {})", id, pid.value()));
    } else {
      progress_.detail(fmt::format("replica {} started (pid {})", id, pid.value()));
    }
    return true;
  }
  words.role.store(Role::kDead);
  store_text(words.message, pid.error());
  progress_.error(pid.error());
  if (control().epoch.load() == 0 && running_count() == 0 && group_.kind == StartKind::kFresh) {
    finish(2);
    return false;
  }
  schedule_restart(id);
  return false;
}

// From the newest checkpoint if there is one, else from the log's start.
Result<int> Supervisor::start_process(int id, bool again,
                                      const StandbyEnds& standby) {
  restored_from_[id] = 0;
  if (!logged() || (!again && control().epoch.load() == 0))
    return start_replica(group_.launch, id);
  const auto checkpoint = checkpoints_.usable();
  if (checkpoint) {
    auto restorer = find_restorer();
    if (!restorer) return Error{restorer.error()};
    restored_from_[id] = checkpoint->number;
    return restore_replica(group_.launch, *restorer, checkpoint->segments, id,
                           standby);
  }
  if (standby.pidfd >= 0) return Error{"no checkpoint is left that a backup could stand by with"};
  if (!again) return start_replica(group_.launch, id);
  if (auto done = group_.initial_copy.put_back(id); !done) return Error{done.error()};
  return start_replica(group_.launch, id);
}

// Who could be asked for one runs.
bool Supervisor::checkpoint_may_come() const {
  return checkpoints_.go_on() && (passive() || count_ == 1 || running_count() > 1);
}

// Whom only the log's released start kept away.
void Supervisor::left_out_replicas_may_return() {
  for (int id = 0; id < count_; ++id) {
    if (!left_out_[id] || divergences_[id] >= kMostDivergences || !checkpoints_.usable()) continue;
    left_out_[id] = false;
    schedule_restart(id);
  }
}

void Supervisor::look_at_checkpoints() {
  bool runs[replication::kMaxReplicas] = {};
  for (int id = 0; id < count_; ++id) runs[id] = processes_[id].runs();
  const auto news = checkpoints_.look(runs, now_ms_);
  if (!news) return;
  if (news->good) {
    if (news->asked) progress_.event(news->text);
    else progress_.detail(news->text);
    left_out_replicas_may_return();
  } else {
    progress_.error(news->text);
  }
}

void Supervisor::start_what_is_due() {
  if (!all_started_ && logged() && control().epoch.load() > 0) {
    // There is a leader to follow.
    all_started_ = true;
    for (int id = 0; id < count_ && !result_; ++id) {
      if (!passive() && !processes_[id].runs() && slot(id).incarnation.load() == 0) start(id);
    }
  }
  if (passive()) {
    if (all_started_) tend_backups();
    return;
  }
  start_backups();
  for (int id = 0; id < count_ && !result_; ++id) {
    const auto due = processes_[id].restart_at_ms;
    if (due && *due <= now_ms_) start(id);
  }
}

// The processes of replica `id` have ended: what that means.
void Supervisor::replica_ended(int id) {
  ReplicaSlot& words = slot(id);
  ReplicaProcess& process = processes_[id];
  const Role role = words.role.load();
  const bool stood_by = role == Role::kBackup;
  const bool led = !stood_by && (role == Role::kLeader || control().leader.load() == id);
  const std::optional<int> status = process.server_status();
  const int server_pid = process.server_pid();

  words.pid.store(0);
  words.child_pid.store(0);
  words.ready.store(0);
  if (status) {
    words.wait_status.store(*status);
    words.exit_known.store(1);
  }
  const bool faultless = retired_[id];
  retired_[id] = false;
  const bool refused = stood_by && !faultless && status && WIFEXITED(*status);
  if (restored_from_[id] != 0 &&
      (refused || (!faultless && (role == Role::kAbsent || role == Role::kJoining)))) {
    progress_.error(fmt::format("replica {} did not come to life from checkpoint {}, which is not "
                                "used again",
                                id, restored_from_[id]));
    checkpoints_.distrust(restored_from_[id]);
  }
  if (role != Role::kDiverged) words.role.store(Role::kDead);

  if (ending_ != Ending::kNot) return;
  if (faultless) {
    words.role.store(Role::kBackup);
    return;
  }
  const bool exited = status && WIFEXITED(*status);
  if (control().epoch.load() == 0 && (logged() || !was_ready_ || exited)) {
    ended_before_ready(id);
    return;
  }
  if (!logged() && (exited || !was_ready_)) {
    begin_ending(id, process.child_status());
    return;
  }
  const std::string how = status ? describe_wait_status(*status) : "ended";
  const std::string message = load_text(words.message);
  progress_.event(fmt::format("replica {}{}{} {}{}{}", id,
                              server_pid != 0 ? fmt::format(" (pid {})", server_pid) : "",
                              led ? ", the leader," : "", how, message.empty() ? "" : ": ",
                              message));
  // Its end is no more the group's when another one has taken over, however late we hear of it.
  const bool succeeded = leader() >= 0 && leader() != id;
  // The orderly end of a wrapped server is only what the server said itself.
  const bool orderly = control().phase.load() >= GroupPhase::kEnding ||
                       (exited && !process.wrapped());
  const bool asked = ended_as_asked(status) ||
                     (led && replication::monotonic_ns() < control().end_asked_until_ns.load());
  const bool ends_it = led && !succeeded;
  if ((ends_it && orderly) || (asked && (ends_it || running_count() == 0))) {
    begin_ending(id, process.child_status());
    return;
  }
  if (asked) return;
  if (!stood_by && poisoned(id)) return;
  schedule_restart(id);
}

void Supervisor::schedule_restart(int id) {
  ReplicaProcess& process = processes_[id];
  ReplicaSlot& words = slot(id);
  if (options_.end_at_once) {
    if (running_count() == 0) begin_ending(id, process.child_status());
    return;
  }
  if (process.lived_ms(now_ms_) >= kLongLifeMs) divergences_[id] = 0;
  if (words.role.load() == Role::kDiverged && ++divergences_[id] >= kMostDivergences) {
    left_out_[id] = true;
    progress_.error(fmt::format("replica {} diverged {} times and is left out from now on", id,
                                divergences_[id]));
  }
  if (logged() && group_.memory.log().begin() > 0 && !checkpoints_.usable()) {
    left_out_[id] = true;
    if (checkpoint_may_come()) {
      const char* waits = "waits for the next checkpoint: the log does not reach back to the last";
      store_text(words.message, waits);
      progress_.event(fmt::format("replica {} {}", id, waits));
    } else {
      const char* never =
          "can't join again: the log no longer reaches back to its start, nor to a checkpoint";
      store_text(words.message, never);
      progress_.error(fmt::format("replica {} {}", id, never));
    }
  }
  if (left_out_[id]) {
    bool hope = false;
    for (int other = 0; other < count_; ++other)
      hope |= processes_[other].runs() || processes_[other].restart_at_ms.has_value() ||
              (passive() && !left_out_[other]);
    if (!hope) {
      stop_group(fmt::format("no replica is left that could go on; the last one said: {}",
                             load_text(words.message)));
    }
    return;
  }
  const int64_t delay_ms = process.back_off.ended(process.lived_ms(now_ms_));
  // Where nobody follows, clients wait for whoever is next.
  process.restart_at_ms =
      now_ms_ + std::max(passive() ? std::min(delay_ms, kPassiveDelayMs) : delay_ms, kSettleMs);
  if (delay_ms > 0) progress_.detail(fmt::format("replica {} waits {} ms", id, delay_ms));
}

std::vector<RequestInHand> Supervisor::requests_in_hand(int id) const {
  std::vector<RequestInHand> requests;
  for (const auto& thread : control().threads[id]) {
    const uint64_t activity = thread.activity.load(std::memory_order_relaxed);
    if (!replication::is_request(activity)) continue;
    requests.push_back({activity, thread.activity_position.load(std::memory_order_relaxed),
                        thread.request_id.load(std::memory_order_relaxed),
                        load_text(thread.operation)});
  }
  return requests;
}

// The dead replica's requests, if it crashed; true if the group had to be stopped for one of them.
bool Supervisor::poisoned(int id) {
  const std::vector<RequestInHand> requests = requests_in_hand(id);
  for (auto& thread : control().threads[id]) thread.activity.store(0);
  const auto status = processes_[id].server_status();
  if (!status || !WIFSIGNALED(*status) || !is_crash_signal(WTERMSIG(*status))) return false;
  slot(id).crash_activity_count.store(static_cast<uint32_t>(requests.size()));
  const auto poison = poison_watch_.crashed(
      {id, slot(id).incarnation.load(), WTERMSIG(*status), requests});
  if (!poison) return false;
  stop_group(describe(*poison));
  return true;
}

void Supervisor::watch_poison() {
  if (poison_watch_.idle() || now_ms_ < next_slow_look_ms_) return;
  for (int id = 0; id < count_; ++id) {
    if (!processes_[id].runs()) continue;
    poison_watch_.alive(id, slot(id).incarnation.load(), requests_in_hand(id), now_ms_);
  }
}

// The end that a signal to the supervisor was meant to bring.
bool Supervisor::ended_as_asked(const std::optional<int>& status) const {
  if (forwarded_signal_ == 0 || !status) return false;
  return forwarded_to_all_ || (WIFSIGNALED(*status) && WTERMSIG(*status) == forwarded_signal_);
}

int Supervisor::leader() const {
  const int id = control().leader.load();
  if (id < 0 || id >= count_ || !processes_[id].runs()) return -1;
  return control().replicas[id].role.load() == Role::kLeader ? id : -1;
}

int Supervisor::running_count() const {
  return static_cast<int>(std::count_if(processes_, processes_ + count_,
                                        [](const ReplicaProcess& p) { return p.runs(); }));
}

void Supervisor::appear_ready() {
  if (was_ready_) return;
  if (passive()) {
    if (leader() < 0 || slot(leader()).ready.load() == 0 || !checkpoints_.tried()) return;
    const bool warm = control().style.load() == replication::Style::kWarmPassive;
    if (warm && count_ > 1 && control().checkpoint_number.load() != 0 && standby_.id < 0) return;
  }
  for (int id = 0; id < count_ && !passive(); ++id) {
    if (!processes_[id].runs() || control().replicas[id].ready.load() == 0) return;
  }
  if (!state_is_given()) return;
  was_ready_ = true;
  if (std::string fault = group_.ready_file.appear(getpid()); !fault.empty()) {
    progress_.error(fault);
  }
  const int id = leader();
  progress_.event(fmt::format("{} replica{} ready{}", count_, count_ == 1 ? "" : "s",
                              id >= 0 && count_ > 1
                                  ? fmt::format("; replica {} (pid {}) leads", id,
                                                processes_[id].server_pid())
                                  : ""));
  if (logged() && control().map_names[0] == '\0') {
    progress_.event("no join-point map fits what the server has loaded: requests are not told "
                    "apart, and every lock of the program counts as its own");
  }
}

void Supervisor::listen_for_deaths() {
  deaths_.read();
  std::vector<int> pids;
  for (int id = 0; id < count_; ++id) {
    if (const int pid = slot(id).pid.load(); pid > 0) pids.push_back(pid);
  }
  deaths_.watch(pids);
}

void Supervisor::tell_promotions() {
  const uint32_t count = control().promotion_count.load();
  if (count - promotions_told_ > replication::kMaxPromotions) {
    promotions_told_ = count - replication::kMaxPromotions;
  }
  while (promotions_told_ != count) {
    auto& record = control().promotions[promotions_told_ % replication::kMaxPromotions];
    auto promotion = read_promotion(record);
    if (!promotion) return;  // being written: at the next look
    ++promotions_told_;
    if (promotion->from < 0) continue;  // the first leadership of all
    deaths_.read();
    if (const uint64_t died_ns = deaths_.of(promotion->from_pid)) {
      record.died_ns.store(died_ns);
      promotion->died_ns = died_ns;
    }
    progress_.event(fmt::format("replica {} leads now (epoch {}, after replica {}; noticed in {}, "
                                "served in {})",
                                promotion->to, promotion->epoch, promotion->from,
                                describe_microseconds(promotion->detect_us()),
                                describe_microseconds(promotion->serve_us())));
  }
}

void Supervisor::look_at_log() {
  if (now_ms_ < next_slow_look_ms_) return;
  next_slow_look_ms_ = now_ms_ + kSlowLookMs;
  if (!logged()) return;
  const auto& log = group_.memory.log();
  const auto& layout = group_.memory.memory().layout();
  const uint64_t entries_percent = (log.end() - log.begin()) * 100 / layout.entry_capacity;
  const uint64_t payload_percent =
      (log.payload_end() - log.payload_begin()) * 100 / layout.payload_size_bytes;
  const int percent = static_cast<int>(std::max(entries_percent, payload_percent));
  for (const int level : {80, 50}) {
    if (percent < level || log_warning_percent_ >= level) continue;
    log_warning_percent_ = level;
    if (checkpoints_.usable() || checkpoint_may_come()) continue;
    progress_.event(fmt::format("the log is {} % full; once it is, replicas that die can't join "
                                "again (see log.entries and log.payload)",
                                percent));
  }
  if (log.begin() > 0 && !told_rejoin_impossible_ && !checkpoints_.usable() &&
      !checkpoint_may_come()) {
    told_rejoin_impossible_ = true;
    progress_.event("the log is full and no longer reaches back to its start: replicas that die "
                    "from now on can't join again");
  }
}

}  // namespace auxin::supervisor
