// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/checkpoints.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "replication/supervisor/descriptor.h"

namespace auxin::supervisor {
namespace {

namespace fs = std::filesystem;

using checkpoint::CommitRecord;
using checkpoint::SegmentHeader;
using replication::ReplicaSlot;
using replication::Role;

constexpr int64_t kPatienceMs = 60'000;
constexpr uint64_t kKept = 2;   // the newest one may turn out to be no good

// The header of a complete segment of this version; nothing: it is none.
std::optional<SegmentHeader> read_header(const std::string& path, uint64_t* size_bytes) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat about {};
  if (!file.valid() || fstat(file.get(), &about) != 0) return {};
  SegmentHeader header;
  CommitRecord commit;
  if (pread(file.get(), &header, sizeof header, 0) != sizeof header ||
      memcmp(header.magic, checkpoint::kImageMagic, sizeof header.magic) != 0 ||
      header.version != checkpoint::kImageVersion ||
      header.commit_offset + sizeof commit != static_cast<uint64_t>(about.st_size) ||
      pread(file.get(), &commit, sizeof commit, static_cast<off_t>(header.commit_offset)) !=
          sizeof commit ||
      memcmp(commit.magic, checkpoint::kCommitMagic, sizeof commit.magic) != 0 ||
      commit.image_id != header.image_id)
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

Checkpoints::Checkpoints(GroupMemory& memory, const std::string& state_directory)
    : memory_(memory), directory_(state_directory + "/checkpoints") {
  store_text(memory_.control().checkpoint_directory, directory_);
  const std::vector<uint64_t> numbers = numbers_in(directory_);
  if (!numbers.empty()) next_ = numbers.back() + 1;
  const std::vector<CheckpointSummary> complete = list_checkpoints(directory_);
  if (complete.empty()) return;
  publish(complete.back());
}

void Checkpoints::publish(const CheckpointSummary& checkpoint) {
  memory_.control().checkpoint_position.store(checkpoint.log_position);
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
    if (control.checkpoints_asked.load() == control.checkpoints_answered.load()) return {};
    return begin(runs, now_ms);
  }
  const ReplicaSlot& slot = control.replicas[replica_];
  if (slot.checkpoint_answered.load() == number_ && slot.incarnation.load() == incarnation_)
    return end(load_text(slot.checkpoint_fault));
  if (!runs[replica_] || slot.incarnation.load() != incarnation_)
    return end(fmt::format("replica {} ended before it was complete", replica_));
  if (now_ms > deadline_ms_) return end(fmt::format("replica {} did not answer", replica_));
  return {};
}

std::optional<Checkpoints::News> Checkpoints::begin(
    const bool (&runs)[replication::kMaxReplicas], int64_t now_ms) {
  replication::GroupControl& control = memory_.control();
  answers_ = control.checkpoints_asked.load();
  replica_ = -1;
  for (int id = 0; id < replication::kMaxReplicas; ++id) {
    const ReplicaSlot& slot = control.replicas[id];
    if (!runs[id] || slot.role.load() != Role::kFollower || slot.excluded.load() != 0) continue;
    if (replica_ < 0 || slot.position.load() > control.replicas[replica_].position.load())
      replica_ = id;
  }
  if (replica_ < 0) return end("no replica follows the leader closely now");
  const std::string own = fmt::format("{}/{}", directory_, next_);
  if ((mkdir(directory_.c_str(), 0700) != 0 && errno != EEXIST) ||
      (mkdir(own.c_str(), 0700) != 0 && errno != EEXIST))
    return end(fmt::format("{}: can't be made: {}", own, strerrordesc_np(errno)));
  ReplicaSlot& slot = control.replicas[replica_];
  number_ = next_++;
  incarnation_ = slot.incarnation.load();
  deadline_ms_ = now_ms + kPatienceMs;
  slot.checkpoint_wanted.store(number_);
  return {};
}

Checkpoints::News Checkpoints::end(const std::string& fault) {
  replication::GroupControl& control = memory_.control();
  News news{fault.empty(), ""};
  if (fault.empty()) {
    const auto made = read_checkpoint(fs::path(directory_) / std::to_string(number_), number_);
    if (made) {
      publish(*made);
      const ReplicaSlot& slot = control.replicas[replica_];
      news.text = fmt::format(
          "checkpoint {}: {:.1f} MiB of replica {} at log entry {}; it stood still for {:.1f} ms",
          number_, static_cast<double>(made->size_bytes) / (1 << 20), replica_, made->log_position,
          static_cast<double>(slot.checkpoint_pause_ns.load()) / 1e6);
    } else {
      news = {false, fmt::format("checkpoint {} can't be read", number_)};
    }
  } else {
    news.text = fmt::format("no checkpoint could be taken: {}", fault);
    std::error_code error;
    if (number_ != 0) fs::remove_all(fmt::format("{}/{}", directory_, number_), error);
  }
  number_ = 0;
  if (answers_ != control.checkpoints_answered.load()) {
    store_text(control.checkpoint_answer, (news.good ? "+" : "-") + news.text);
    control.checkpoints_answered.store(answers_);
  }
  return news;
}

std::optional<CheckpointSummary> Checkpoints::usable() const {
  const std::vector<CheckpointSummary> complete = list_checkpoints(directory_);
  for (auto each = complete.rbegin(); each != complete.rend(); ++each)
    if (each->number > distrusted_ && each->log_position >= memory_.log().begin()) return *each;
  return {};
}

void Checkpoints::distrust(uint64_t number) { distrusted_ = std::max(distrusted_, number); }

}  // namespace auxin::supervisor
