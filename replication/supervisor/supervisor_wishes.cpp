// SPDX-License-Identifier: Apache-2.0
//
// What a command asks of the group's supervisor: another style, or the state of a checkpoint.
//
//   style     to a passive one: a checkpoint first, then the followers end and are backups. To the
//             semi-active one: all backups are started and follow.
//   restore   every process ends, and the group begins again from a checkpoint. From the newest,
//             nothing is lost: the log's rest is replayed. From an older one by its number: what
//             came after it is given up, and its connections end. The words restored_checkpoint and
//             restored_position say from then on where the log goes on for that image; they are
//             written while nobody runs, so a supervisor that dies here has either done it or not.
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>

#include "replication/supervisor/processes.h"
#include "replication/supervisor/sentence.h"
#include "replication/supervisor/supervisor.h"

namespace auxin::supervisor {

using replication::Role;
using replication::Style;
using replication::Wish;

void Supervisor::answer_wish(bool done, const std::string& text) {
  store_text(control().wish_answer, (done ? "+" : "-") + text);
  control().wishes_answered.store(control().wishes.load());
  switch_asked_ = 0;
  restoring_.clear();
  if (done) progress_.event(text);
}

void Supervisor::look_at_wishes() {
  if (control().wishes.load() == control().wishes_answered.load() || ending_ != Ending::kNot)
    return;
  if (!restoring_.empty()) {  // told when it serves again
    if (leader() >= 0 && slot(leader()).ready.load() != 0) answer_wish(true, restoring_);
    return;
  }
  if (!logged())
    return answer_wish(false, "a group of style none has no log: nothing could follow a "
                              "checkpoint, and its style is chosen at its start");
  const uint64_t value = control().wish_value.load();
  switch (control().wish.load()) {
    case Wish::kStyle: return switch_style(static_cast<Style>(value));
    case Wish::kRestore: return restore(value);
    default: return answer_wish(false, "the wish is not known to this version of Auxin");
  }
}

void Supervisor::switch_style(Style wanted) {
  const Style before = control().style.load();
  if (wanted == Style::kNone || wanted > Style::kColdPassive)
    return answer_wish(false, "a group's log begins with the group: style none is chosen at its "
                              "start");
  // Where the log has outrun all others, a passive style's leader is who can make one.
  const bool nobody_else = running_count() == 1 && leader() >= 0 && !checkpoints_.usable() &&
                           group_.memory.log().begin() > 0;
  if (replication::is_passive(wanted) && nobody_else && switch_asked_ == 0) {
    control().checkpoints_asked.fetch_add(1);
  } else if (replication::is_passive(wanted) && !passive()) {
    if (switch_asked_ == 0) {
      switch_asked_ = control().checkpoints_asked.fetch_add(1) + 1;
      return;
    }
    if (control().checkpoints_answered.load() < switch_asked_) return;
    const std::string answer = load_text(control().checkpoint_answer);
    if (answer.empty() || answer[0] != '+')
      return answer_wish(false, answer.empty() ? "no checkpoint could be taken" : answer.substr(1));
  }
  if (wanted == Style::kSemiActive && !checkpoints_.obstacle_to_followers().empty())
    return answer_wish(false, checkpoints_.obstacle_to_followers());
  control().style.store(wanted);
  answer_wish(true, wanted == before
                        ? fmt::format("the style is {} now, as before", style_name(wanted))
                        : fmt::format("the style is {} now, and was {}", style_name(wanted),
                                      style_name(before)));
}

void Supervisor::restore(uint64_t number) {
  const auto all = list_checkpoints(group_.directory.path() + "/checkpoints");
  const auto found =
      number == 0 ? checkpoints_.usable()
                  : [&]() -> std::optional<CheckpointSummary> {
                      const auto at = std::find_if(
                          all.begin(), all.end(),
                          [=](const CheckpointSummary& each) { return each.number == number; });
                      if (at == all.end()) return {};
                      return *at;
                    }();
  if (!found)
    return answer_wish(false, number == 0 ? "there is no checkpoint that the log reaches back to"
                                          : fmt::format("there is no checkpoint {}; `auxin "
                                                        "checkpoints {}` lists those there are",
                                                        number, load_text(control().name)));
  for (int id = 0; id < count_; ++id) processes_[id].signal_all(SIGKILL);
  // Who goes back has no more use for the sockets that the keepers of the dead still hold.
  if (number != 0) kill_members(group_.launch.memory_path);
  for (int id = 0; id < count_; ++id) {
    while (processes_[id].runs() && !processes_[id].look(slot(id), false, now_ms_)) {
      poll(nullptr, 0, 1);
      reap();
    }
    slot(id).pid.store(0);
    slot(id).child_pid.store(0);
    slot(id).ready.store(0);
    slot(id).role.store(passive() ? Role::kBackup : Role::kDead);
    retired_[id] = left_out_[id] = false;
    divergences_[id] = 0;
    processes_[id].restart_at_ms.reset();
  }
  standby_ = {};
  if (number != 0) checkpoints_.go_back_to(*found);
  restoring_ = fmt::format("the group goes on from checkpoint {}{}", found->number,
                           number == 0 ? ", through the log" : "; what came after it is given up");
  if (!passive())
    for (int id = 0; id < count_ && !result_; ++id) start(id);
}

// Backups of the style before begin to follow.
void Supervisor::start_backups() {
  for (int id = 0; id < count_ && !result_; ++id) {
    if (slot(id).role.load() != Role::kBackup) continue;
    if (processes_[id].runs()) retire(id);
    else if (!left_out_[id]) start(id);
  }
  standby_ = {};
}

}  // namespace auxin::supervisor
