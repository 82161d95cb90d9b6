// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/checkpoint_store.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <set>

#include "replication/supervisor/descriptor.h"

namespace auxin::supervisor {
namespace {

namespace fs = std::filesystem;

using checkpoint::CommitRecord;
using checkpoint::SegmentHeader;

struct SegmentEnds {
  SegmentHeader header;
  CommitRecord commit;
  uint64_t size_bytes;
};

// Of a complete segment of this version; nothing: it is none.
std::optional<SegmentEnds> read_ends(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat about {};
  if (!file.valid() || fstat(file.get(), &about) != 0) return {};
  SegmentEnds ends;
  const auto read_at = [&](void* to, size_t size, off_t offset) {
    return offset >= 0 && pread(file.get(), to, size, offset) == static_cast<ssize_t>(size);
  };
  const auto commit_size = static_cast<off_t>(sizeof ends.commit);
  if (!read_at(&ends.commit, sizeof ends.commit, about.st_size - commit_size) ||
      memcmp(ends.commit.magic, checkpoint::kCommitMagic, sizeof ends.commit.magic) != 0 ||
      !read_at(&ends.header, sizeof ends.header, static_cast<off_t>(ends.commit.header_offset)) ||
      memcmp(ends.header.magic, checkpoint::kImageMagic, sizeof ends.header.magic) != 0 ||
      ends.header.version != checkpoint::kImageVersion ||
      ends.commit.image_id != ends.header.image_id)
    return {};
  ends.size_bytes = static_cast<uint64_t>(about.st_size);
  ends.header.program[sizeof ends.header.program - 1] = '\0';
  return ends;
}

std::optional<uint64_t> number_in(std::string_view name) {
  uint64_t number = 0;
  const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (failed != std::errc() || end == name.data()) return {};
  const std::string_view rest(end, static_cast<size_t>(name.data() + name.size() - end));
  if (!rest.empty() && rest[0] != '.') return {};
  return number;
}

// The numbers with which names in it begin, up to a full stop.
std::set<uint64_t> numbers_in(const fs::path& directory) {
  std::set<uint64_t> numbers;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error))
    if (const auto number = number_in(entry.path().filename().native())) numbers.insert(*number);
  return numbers;
}

std::string segment_path(const fs::path& directory, uint64_t base, uint64_t sequence) {
  return directory / std::to_string(base) / fmt::format("{}.segment", sequence);
}

void list_chain(const fs::path& directory, uint64_t base, std::vector<CheckpointSummary>* found) {
  uint64_t image_id = 0, digest = 0;
  CheckpointSummary one{};
  for (uint64_t sequence = 0;; ++sequence) {
    const std::string path = segment_path(directory, base, sequence);
    const auto ends = read_ends(path);
    if (!ends || ends->header.sequence != sequence) return;
    if (sequence > 0 &&
        (ends->header.image_id != image_id || ends->header.previous_digest != digest))
      return;
    image_id = ends->header.image_id;
    digest = ends->commit.digest;
    one.number = base + sequence;
    one.base = base;
    one.log_position = ends->header.log_position;
    one.size_bytes = ends->size_bytes;
    one.chain_size_bytes += ends->size_bytes;
    if (sequence > 0) one.delta_size_bytes += ends->size_bytes;
    one.made_realtime_ns = ends->header.made_realtime_ns;
    one.thread_count = ends->header.thread_count;
    one.descriptor_count = ends->header.descriptor_count;
    one.program = ends->header.program;
    one.segments.push_back(path);
    found->push_back(one);
  }
}

}  // namespace

std::vector<CheckpointSummary> list_checkpoints(const std::string& directory) {
  std::vector<CheckpointSummary> found;
  for (const uint64_t base : numbers_in(directory)) list_chain(directory, base, &found);
  return found;
}

uint64_t next_checkpoint_number(const std::string& directory) {
  uint64_t next = 1;
  for (const uint64_t base : numbers_in(directory)) {
    const std::set<uint64_t> sequences = numbers_in(fs::path(directory) / std::to_string(base));
    next = std::max(next, base + (sequences.empty() ? 0 : *sequences.rbegin()) + 1);
  }
  return next;
}

Result<bool> make_room_for_base(const std::string& directory, uint64_t number) {
  const std::string own = fmt::format("{}/{}", directory, number);
  if ((mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) ||
      (mkdir(own.c_str(), 0700) != 0 && errno != EEXIST))
    return Error{fmt::format("{}: can't be made: {}", own, strerrordesc_np(errno))};
  return true;
}

void remove_checkpoint(const std::string& directory, uint64_t base, uint64_t number) {
  const fs::path chain = fs::path(directory) / std::to_string(base);
  std::error_code error;
  if (number == base) {
    fs::remove_all(chain, error);
    return;
  }
  // Its copies of files and what was not finished begin with the same number.
  for (const auto& entry : fs::directory_iterator(chain, error)) {
    std::error_code failed;
    if (number_in(entry.path().filename().native()) == number - base)
      fs::remove(entry.path(), failed);
  }
}

void remove_old_checkpoints(const std::string& directory, uint64_t newest, size_t kept) {
  std::vector<CheckpointSummary> complete = list_checkpoints(directory);
  std::erase_if(complete, [=](const CheckpointSummary& each) { return each.number > newest; });
  std::set<uint64_t> needed;
  const size_t count = std::min(kept, complete.size());
  for (auto each = complete.end() - static_cast<long>(count); each != complete.end(); ++each)
    needed.insert(each->base);
  std::error_code error;
  for (const uint64_t base : numbers_in(directory))
    if (base < newest && !needed.contains(base))
      fs::remove_all(fs::path(directory) / std::to_string(base), error);
}

void remove_later_checkpoints(const std::string& directory, uint64_t number) {
  for (const uint64_t base : numbers_in(directory)) {
    if (base > number) {
      remove_checkpoint(directory, base, base);
      continue;
    }
    for (const uint64_t sequence : numbers_in(fs::path(directory) / std::to_string(base)))
      if (base + sequence > number) remove_checkpoint(directory, base, base + sequence);
  }
}

}  // namespace auxin::supervisor
