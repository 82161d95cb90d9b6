// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/checkpoints.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "replication/supervisor/checkpoint_interval.h"
#include "replication/supervisor/descriptor.h"
#include "replication/supervisor/promotion_times.h"

namespace auxin::supervisor {
namespace {

namespace fs = std::filesystem;

using checkpoint::CommitRecord;
using checkpoint::SegmentHeader;
using replication::ReplicaSlot;
using replication::Role;

constexpr int64_t kPatienceMs = 60'000;          // for an image to be complete
constexpr int64_t kFollowerPatienceMs = 10'000;  // for a replica that could take it
constexpr uint64_t kPassiveEveryS = 5;           // where the user does not say
constexpr uint64_t kKept = 2;   // the newest one may turn out to be no good

// The header of a complete segment of this version; nothing: it is none.
std::optional<SegmentHeader> read_header(const std::string& path, uint64_t* size_bytes) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat about {};
  if (!file.valid() || fstat(file.get(), &about) != 0) return {};
  SegmentHeader header;
  CommitRecord commit;
  const auto read_at = [&](void* to, size_t size, off_t offset) {
    return offset >= 0 && pread(file.get(), to, size, offset) == static_cast<ssize_t>(size);
  };
  const auto commit_size = static_cast<off_t>(sizeof commit);
  if (!read_at(&commit, sizeof commit, about.st_size - commit_size) ||
      memcmp(commit.magic, checkpoint::kCommitMagic, sizeof commit.magic) != 0 ||
      !read_at(&header, sizeof header, static_cast<off_t>(commit.header_offset)) ||
      memcmp(header.magic, checkpoint::kImageMagic, sizeof header.magic) != 0 ||
      header.version != checkpoint::kImageVersion || commit.image_id != header.image_id)
    return {};
  *size_bytes = static_cast<uint64_t>(about.st_size);
  header.program[sizeof header.program - 1] = '\0';
  return header;
}

std::optional<CheckpointSummary> read_checkpoint(const fs::path& directory, uint64_t number) {
  const std::string path = directory / "0.segment";
  CheckpointSummary found{};
  const auto header = read_header(path, &found.size_bytes);
  if (!header) return {};
  found.number = number;
  found.log_position = header->log_position;
  found.made_realtime_ns = header->made_realtime_ns;
  found.thread_count = header->thread_count;
  found.descriptor_count = header->descriptor_count;
  found.program = header->program;
  found.segments.push_back(path);
  return found;
}

// The directories whose names are numbers.
std::vector<uint64_t> numbers_in(const std::string& directory) {
  std::vector<uint64_t> numbers;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename();
    uint64_t number = 0;
    const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (failed == std::errc() && end == name.data() + name.size()) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

}  // namespace

std::vector<CheckpointSummary> list_checkpoints(const std::string& directory) {
  std::vector<CheckpointSummary> found;
  for (const uint64_t number : numbers_in(directory)) {
    auto one = read_checkpoint(fs::path(directory) / std::to_string(number), number);
    if (one) found.push_back(std::move(*one));
  }
  return found;
}

Checkpoints::Checkpoints(GroupMemory& memory, const std::string& state_directory,
                         std::string obstacle)
    : memory_(memory),
      directory_(state_directory + "/checkpoints"),
      obstacle_(std::move(obstacle)) {
  store_text(memory_.control().checkpoint_directory, directory_);
  store_text(memory_.control().checkpoint_obstacle, this->obstacle());
  const std::vector<uint64_t> numbers = numbers_in(directory_);
  if (!numbers.empty()) next_ = numbers.back() + 1;
  const std::vector<CheckpointSummary> complete = list_checkpoints(directory_);
  if (complete.empty()) return;
  publish(complete.back());
}

void Checkpoints::publish(const CheckpointSummary& checkpoint) {
  memory_.control().checkpoint_position.store(position_of(checkpoint));
  memory_.control().checkpoint_number.store(checkpoint.number);
  remove_older_than(checkpoint.number);
}

// Also what was begun and never completed.
void Checkpoints::remove_older_than(uint64_t number) {
  std::vector<CheckpointSummary> complete = list_checkpoints(directory_);
  std::erase_if(complete, [=](const CheckpointSummary& each) { return each.number > number; });
  std::error_code error;
  for (const uint64_t each : numbers_in(directory_)) {
    if (each >= number) continue;
    const bool kept = std::any_of(
        complete.end() - static_cast<long>(std::min<size_t>(complete.size(), kKept)),
        complete.end(), [=](const CheckpointSummary& one) { return one.number == each; });
    if (!kept) fs::remove_all(fs::path(directory_) / std::to_string(each), error);
  }
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
      ask(next_ | replication::kOnlyLook, now_ms);
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
  const std::string own = fmt::format("{}/{}", directory_, next_);
  if ((mkdir(directory_.c_str(), 0700) != 0 && errno != EEXIST) ||
      (mkdir(own.c_str(), 0700) != 0 && errno != EEXIST))
    return end(fmt::format("{}: can't be made: {}", own, strerrordesc_np(errno)));
  looked_ = true;
  ask(next_++, now_ms);
  return {};
}

void Checkpoints::ask(uint64_t number, int64_t now_ms) {
  ReplicaSlot& slot = memory_.control().replicas[replica_];
  number_ = number;
  incarnation_ = slot.incarnation.load();
  deadline_ms_ = now_ms + kPatienceMs;
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
    const auto made = read_checkpoint(fs::path(directory_) / std::to_string(number_), number_);
    if (made) {
      publish(*made);
      const ReplicaSlot& slot = control.replicas[replica_];
      cost_s_ = static_cast<double>(slot.checkpoint_pause_ns.load()) / 1e9;
      news.text = fmt::format(
          "checkpoint {}: {:.1f} MiB of replica {} at log entry {}; it stood still for {:.1f} ms",
          number_, static_cast<double>(made->size_bytes) / (1 << 20), replica_, made->log_position,
          static_cast<double>(slot.checkpoint_pause_ns.load()) / 1e6);
    } else {
      news.good = false;
      news.text = fmt::format("checkpoint {} can't be read", number_);
    }
  } else {
    news.text = fmt::format("no checkpoint could be taken: {}", fault);
    std::error_code error;
    if (number_ != 0) fs::remove_all(fmt::format("{}/{}", directory_, number_), error);
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
  std::vector<CheckpointSummary> complete = list_checkpoints(directory_);
  for (auto each = complete.rbegin(); each != complete.rend(); ++each) {
    if (each->number <= distrusted_ || position_of(*each) < memory_.log().begin()) continue;
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
  std::error_code error;
  for (const uint64_t each : numbers_in(directory_))
    if (each > checkpoint.number)
      fs::remove_all(fs::path(directory_) / std::to_string(each), error);
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

void Checkpoints::distrust(uint64_t number) { distrusted_ = std::max(distrusted_, number); }

}  // namespace auxin::supervisor
