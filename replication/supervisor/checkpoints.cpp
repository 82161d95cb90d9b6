// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/checkpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/tracking/tracking_method.h"
#include "replication/supervisor/checkpoint_interval.h"
#include "replication/supervisor/promotion_times.h"

namespace auxin::supervisor {
namespace {

using replication::ReplicaSlot;
using replication::Role;

constexpr int64_t kPatienceMs = 60'000;          // for an image to be complete
constexpr int64_t kFollowerPatienceMs = 10'000;  // for a replica that could take it
constexpr uint64_t kPassiveEveryS = 5;           // where the user does not say
constexpr uint64_t kLittleBytes = 32u << 20;    // read in some 30 ms by who restores it
constexpr uint64_t kKept = 2;   // the newest one may turn out to be no good

}  // namespace

Checkpoints::Checkpoints(GroupMemory& memory, const std::string& state_directory,
                         std::string obstacle)
    : memory_(memory),
      directory_(state_directory + "/checkpoints"),
      obstacle_(std::move(obstacle)) {
  store_text(memory_.control().checkpoint_directory, directory_);
  store_text(memory_.control().checkpoint_obstacle, this->obstacle());
  next_ = next_checkpoint_number(directory_);
  const std::vector<CheckpointSummary> complete = list_checkpoints(directory_);
  if (complete.empty()) return;
  publish(complete.back());
}

void Checkpoints::publish(const CheckpointSummary& checkpoint) {
  memory_.control().checkpoint_position.store(position_of(checkpoint));
  memory_.control().checkpoint_number.store(checkpoint.number);
  remove_old_checkpoints(directory_, checkpoint.number, kKept);
}

std::optional<Checkpoints::News> Checkpoints::look(
    const bool (&runs)[replication::kMaxReplicas], int64_t now_ms) {
  replication::GroupControl& control = memory_.control();
  if (number_ == 0) {
    const Measure now = measure(now_ms);
    if (!last_) {
      last_ = now;
      began_ms_ = now_ms;
      takeovers_before_ = control.promotion_count.load();
    }
    const bool asked = control.checkpoints_asked.load() != control.checkpoints_answered.load();
    // Once, before anybody relies on it: whether there can be any.
    const bool looks = !looked_ && !asked && obstacle().empty();
    if (!looks && !asked && !due(now)) return {};
    replica_ = choose(runs);
    if (!asked && (replica_ < 0 || !obstacle().empty())) return {};
    if (looks && !due(now)) {
      looked_ = true;
      ask(next_ | replication::kOnlyLook, next_, now_ms);
      return {};
    }
    if (replica_ < 0 && obstacle().empty()) {  // who asks waits a while for a follower
      if (!waits_since_ms_) waits_since_ms_ = now_ms;
      if (now_ms - *waits_since_ms_ < kFollowerPatienceMs) return {};
    }
    waits_since_ms_.reset();
    last_ = now;
    return begin(now_ms);
  }
  const ReplicaSlot& slot = control.replicas[replica_];
  if (slot.checkpoint_answered.load() == number_ && slot.incarnation.load() == incarnation_)
    return end(load_text(slot.checkpoint_fault), slot.checkpoint_refused.load() != 0);
  if (!runs[replica_] || slot.incarnation.load() != incarnation_)
    return end(fmt::format("replica {} ended before it was complete", replica_));
  if (now_ms > deadline_ms_) return end(fmt::format("replica {} did not answer", replica_));
  return {};
}

// Where one replica executes at a time, they may have each other's files.
std::string Checkpoints::obstacle() const {
  return replication::is_passive(memory_.control().style.load()) ? "" : obstacle_;
}

bool Checkpoints::go_on() const {
  const replication::GroupControl& control = memory_.control();
  const replication::Settings& settings = control.settings;
  return control.checkpoint_obstacle[0] == '\0' &&
         (replication::is_passive(control.style.load()) || settings.checkpoint_every_s != 0 ||
          settings.checkpoint_every_requests != 0 || settings.checkpoint_log_percent != 0);
}

Checkpoints::Measure Checkpoints::measure(int64_t now_ms) const {
  return {now_ms, memory_.control().epoch.load(), memory_.control().requests.load(),
          memory_.log().end(), memory_.log().payload_end()};
}

uint64_t Checkpoints::automatic_interval_s(int64_t now_ms) const {
  const replication::GroupControl& control = memory_.control();
  const uint32_t takeovers = control.promotion_count.load();
  FailureHistory history;
  history.observed_s = static_cast<double>(now_ms - began_ms_) / 1000;
  history.failures = takeovers - takeovers_before_;
  if (history.failures > 0) {
    const auto latest = read_promotion(
        control.promotions[(takeovers - 1) % replication::kMaxPromotions]);
    if (latest) history.takeover_s = static_cast<double>(latest->serve_us()) / 1e6;
  }
  return static_cast<uint64_t>(std::llround(checkpoint_interval_s(cost_s_, history)));
}

bool Checkpoints::due(const Measure& now) const {
  const replication::Settings& settings = memory_.control().settings;
  const bool passive = replication::is_passive(memory_.control().style.load());
  // Without one, who takes over goes through all of the log.
  if (passive && !tried_ && memory_.control().checkpoint_number.load() == 0) return true;
  // Its own takeover went through all that: the next one shall not have to.
  if (passive && now.epoch != last_->epoch) return true;
  const bool unsaid = settings.checkpoint_every_s == 0 && settings.checkpoint_every_requests == 0;
  const uint64_t every_s = passive && unsaid ? kPassiveEveryS
                           : settings.checkpoint_every_s == replication::kAutomaticInterval
                               ? automatic_interval_s(now.now_ms)
                               : settings.checkpoint_every_s;
  const stm::Layout& layout = memory_.memory().layout();
  const auto over = [](uint64_t limit, uint64_t gone) { return limit != 0 && gone >= limit; };
  const uint64_t percent = settings.checkpoint_log_percent;
  return over(every_s * 1000,
              static_cast<uint64_t>(now.now_ms - last_->now_ms)) ||
         over(settings.checkpoint_every_requests, now.requests - last_->requests) ||
         over(layout.entry_capacity / 100 * percent, now.entries - last_->entries) ||
         over(layout.payload_size_bytes / 100 * percent,
              now.payload_bytes - last_->payload_bytes);
}

// The follower that is furthest on; where the group has none by its nature, the leader. -1: none
// follows closely.
int Checkpoints::choose(const bool (&runs)[replication::kMaxReplicas]) const {
  const replication::GroupControl& control = memory_.control();
  int best = -1;
  for (int id = 0; id < replication::kMaxReplicas; ++id) {
    const ReplicaSlot& slot = control.replicas[id];
    if (!runs[id] || slot.role.load() != Role::kFollower || slot.excluded.load() != 0) continue;
    // A delta of one that is a little behind costs less than a base of another.
    if (id == link_.replica && slot.incarnation.load() == link_.incarnation) return id;
    if (best < 0 || slot.position.load() > control.replicas[best].position.load()) best = id;
  }
  if (best < 0 && (control.settings.replica_count == 1 ||
                   replication::is_passive(control.style.load()))) {
    const int leader = control.leader.load();
    if (leader >= 0 && leader < replication::kMaxReplicas && runs[leader] &&
        control.replicas[leader].role.load() == Role::kLeader &&
        control.replicas[leader].ready.load() != 0)
      return leader;
  }
  return best;
}

std::optional<Checkpoints::News> Checkpoints::begin(int64_t now_ms) {
  replication::GroupControl& control = memory_.control();
  answers_ = control.checkpoints_asked.load();
  if (!obstacle().empty()) return end(obstacle());
  if (replica_ < 0) return end("no replica follows the leader closely now");
  const bool delta = can_be_delta();
  if (!delta) {
    if (auto made = make_room_for_base(directory_, next_); !made) return end(made.error());
  }
  looked_ = true;
  ask(next_, delta ? link_.base : next_, now_ms);
  ++next_;
  return {};
}

bool Checkpoints::can_be_delta() const {
  const replication::GroupControl& control = memory_.control();
  return link_.number != 0 && link_.number + 1 == next_ && link_.replica == replica_ &&
         link_.incarnation == control.replicas[replica_].incarnation.load() &&
         link_.number - link_.base < control.settings.checkpoint_deltas &&
         link_.delta_bytes < std::max(link_.base_bytes / 2, kLittleBytes);
}

void Checkpoints::note_link(const CheckpointSummary& made) {
  const ReplicaSlot& slot = memory_.control().replicas[replica_];
  link_ = {};
  if (slot.checkpoint_goes_on.load() == 0) return;
  link_ = {made.number, made.base, replica_, incarnation_, 0, 0};
  link_.base_bytes = made.chain_size_bytes - made.delta_size_bytes;
  link_.delta_bytes = made.delta_size_bytes;
}

void Checkpoints::ask(uint64_t number, uint64_t image, int64_t now_ms) {
  ReplicaSlot& slot = memory_.control().replicas[replica_];
  number_ = number;
  image_ = image;
  incarnation_ = slot.incarnation.load();
  deadline_ms_ = now_ms + kPatienceMs;
  slot.checkpoint_image.store(image);
  slot.checkpoint_wanted.store(number_);
}

std::optional<Checkpoints::News> Checkpoints::end(const std::string& fault, bool lasting) {
  replication::GroupControl& control = memory_.control();
  store_text(control.checkpoint_obstacle, lasting ? fault : obstacle());
  if ((number_ & replication::kOnlyLook) != 0) {
    number_ = 0;
    if (!lasting) return {};
    last_fault_ = fault;
    return News{false, false, fmt::format("there can be no checkpoints: {}; replicas rejoin from "
                                          "the log's start", fault)};
  }
  tried_ = true;
  News news{fault.empty(), answers_ != control.checkpoints_answered.load(), ""};
  if (fault.empty()) {
    const std::vector<CheckpointSummary> all = list_checkpoints(directory_);
    const auto made = std::find_if(all.begin(), all.end(), [this](const CheckpointSummary& each) {
      return each.number == number_;
    });
    if (made != all.end()) {
      note_link(*made);
      if (listener_) listener_(*made);
      publish(*made);
      const ReplicaSlot& slot = control.replicas[replica_];
      control.checkpoint_method.store(slot.checkpoint_method.load());
      cost_s_ = static_cast<double>(slot.checkpoint_pause_ns.load()) / 1e9;
      news.text = fmt::format(
          "checkpoint {}{}: {:.1f} MiB of replica {} at log entry {}; it stood still for {:.1f} ms "
          "({})",
          number_, made->number == made->base ? "" : fmt::format(" (since {})", number_ - 1),
          static_cast<double>(made->size_bytes) / (1 << 20), replica_, made->log_position,
          static_cast<double>(slot.checkpoint_pause_ns.load()) / 1e6,
          checkpoint::name_of(
              static_cast<checkpoint::TrackingMethod>(slot.checkpoint_method.load())));
    } else {
      news.good = false;
      news.text = fmt::format("checkpoint {} can't be read", number_);
    }
  } else {
    news.text = fmt::format("no checkpoint could be taken: {}", fault);
    if (number_ != 0) remove_checkpoint(directory_, image_, number_);
  }
  number_ = 0;
  if (news.asked) {
    store_text(control.checkpoint_answer, (news.good ? "+" : "-") + news.text);
    control.checkpoints_answered.store(answers_);
  } else if (!news.good && news.text == last_fault_) {
    return {};
  }
  last_fault_ = news.good ? "" : news.text;
  return news;
}

std::optional<CheckpointSummary> Checkpoints::usable() const {
  if (!obstacle().empty()) return {};
  // One that is complete and not yet published is only about to be: who
  // stands by is told of it.
  const uint64_t published = memory_.control().checkpoint_number.load();
  std::vector<CheckpointSummary> complete = list_checkpoints(directory_);
  for (auto each = complete.rbegin(); each != complete.rend(); ++each) {
    if (each->number > published || each->number <= distrusted_ ||
        position_of(*each) < memory_.log().begin())
      continue;
    each->log_position = position_of(*each);
    return *each;
  }
  return {};
}

// Where in the log its replica goes on.
uint64_t Checkpoints::position_of(const CheckpointSummary& checkpoint) const {
  const replication::GroupControl& control = memory_.control();
  return checkpoint.number == control.restored_checkpoint.load() ? control.restored_position.load()
                                                                 : checkpoint.log_position;
}

void Checkpoints::go_back_to(const CheckpointSummary& checkpoint) {
  replication::GroupControl& control = memory_.control();
  memory_.log().seal_holes();
  const uint64_t end = memory_.log().end();
  remove_later_checkpoints(directory_, checkpoint.number);
  control.restored_checkpoint.store(0);
  control.restored_position.store(end);
  control.restored_checkpoint.store(checkpoint.number);
  control.rejoin_possible.store(0);
  control.checkpoint_number.store(checkpoint.number);
  control.checkpoint_position.store(end);
  memory_.log().release(end, memory_.log().payload_end());
  number_ = 0;
  distrusted_ = std::min(distrusted_, checkpoint.number - 1);
}

void Checkpoints::distrust(uint64_t number) {
  distrusted_ = std::max(distrusted_, number);
  link_ = {};  // nothing shall follow it
}

}  // namespace auxin::supervisor
