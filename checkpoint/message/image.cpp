// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/message/image.h"

#include <algorithm>
#include <system_error>
#include <thread>

#include "checkpoint/message/run_contents.h"
#include "checkpoint/service_thread.h"
#include "stmemu/check.h"

namespace auxin::checkpoint {

// Everything that can fail, made before anything is changed: the buffers of regions that are new,
// or change their size.
struct Image::Change {
  std::map<uint64_t, Region> replaced;
};

const Image::Region* Image::region(uint64_t id) const {
  const auto found = regions_.find(id);
  return found == regions_.end() ? nullptr : &found->second;
}

Outcome Image::prepare(const MessageView& message, Change* change) const {
  uint64_t total_bytes = 0;  // once the message is applied
  if (!message.is_base()) {
    for (const auto& [id, region] : regions_) total_bytes += region.bytes.size();
  }
  MessageView::Walk walk(message);
  RegionRecord record;
  while (walk.next_region(&record)) {
    const Region* before = region(record.id);
    const bool whole = (record.flags & kWhole) != 0;
    if ((record.flags & kRemoved) != 0) continue;
    if (!whole && before == nullptr) {
      return failure(AUXIN_CHECKPOINT_MALFORMED,
                     "an increment of region " + std::to_string(record.id) +
                         ", which is not there");
    }
    if (before != nullptr && !message.is_base()) total_bytes -= before->bytes.size();
    if (record.size_bytes > max_bytes_ || total_bytes > max_bytes_ - record.size_bytes) {
      return failure(AUXIN_CHECKPOINT_TOO_LARGE,
                     "region " + std::to_string(record.id) + " makes the image larger than " +
                         std::to_string(max_bytes_) + " bytes");
    }
    total_bytes += record.size_bytes;
    if (!whole && before->bytes.size() == record.size_bytes) continue;
    Region& made = change->replaced[record.id];
    const uint64_t kept =
        whole ? 0 : std::min<uint64_t>(before->bytes.size(), record.size_bytes);
    if (!made.bytes.reserve(record.size_bytes) ||
        !made.bytes.append(kept != 0 ? before->bytes.data() : nullptr, kept) ||
        !made.bytes.resize_with_zeros(record.size_bytes)) {
      return failure(AUXIN_CHECKPOINT_NO_MEMORY,
                     "no memory for region " + std::to_string(record.id));
    }
  }
  return Outcome::ok();
}

namespace {

Outcome turned(uint64_t id) {
  return failure(AUXIN_CHECKPOINT_DAMAGED,
                 "region " + std::to_string(id) + " of the image has changed in memory");
}

Outcome tables_turned() {
  return failure(AUXIN_CHECKPOINT_DAMAGED, "the tables of the image have changed in memory");
}

}  // namespace

uint64_t Image::digest_of_tables() const {
  uint64_t sum = 0;
  const auto add = [&sum](uint64_t word) {
    sum = ((sum << 23 | sum >> 41) ^ word) * 0x9e3779b97f4a7c15u + 1;
  };
  for (const uint64_t word : {position_.state, position_.sequence, user_word_, taken_at_ns_}) {
    add(word);
  }
  for (const auto& [id, region] : regions_) {
    add(id);
    add(region.address);
    add(region.bytes.size());
  }
  return sum;
}

void Image::set_checked(bool checked) {
  checked_ = checked;
  if (!checked) return;
  for (auto& [id, region] : regions_) {
    region.digests.resize(region.bytes.size());
    region.digests.note(region.bytes.view(), 0, region.bytes.size());
  }
  tables_digest_ = digest_of_tables();
}

Outcome Image::check() const {
  if (!checked_) return Outcome::ok();
  if (digest_of_tables() != tables_digest_) return tables_turned();
  for (const auto& [id, region] : regions_) {
    if (!region.digests.are_right(region.bytes.view(), 0, region.bytes.size())) return turned(id);
  }
  return Outcome::ok();
}

// What stays of a block that a message changes a part of would get a digest of its own.
Outcome Image::check_touched(const MessageView& message) const {
  if (!checked_ || message.is_base()) return Outcome::ok();
  MessageView::Walk walk(message);
  RegionRecord record;
  while (walk.next_region(&record)) {
    const Region* before = region(record.id);
    if (before == nullptr || (record.flags & (kWhole | kRemoved)) != 0) continue;
    const bool resized = before->bytes.size() != record.size_bytes;
    if (resized && !before->digests.are_right(before->bytes.view(), 0, before->bytes.size())) {
      return turned(record.id);
    }
    RunRecord run;
    const uint8_t* stored = nullptr;
    while (!resized && walk.next_run(&run, &stored)) {
      if (!before->digests.are_right(before->bytes.view(), run.offset, run.length)) {
        return turned(record.id);
      }
    }
  }
  return Outcome::ok();
}

void Image::note(const MessageView& message, const Change& change) {
  MessageView::Walk walk(message);
  RegionRecord record;
  while (checked_ && walk.next_region(&record)) {
    if ((record.flags & kRemoved) != 0) continue;
    Region& changed = regions_[record.id];
    if (change.replaced.count(record.id) != 0) {
      changed.digests.resize(changed.bytes.size());
      changed.digests.note(changed.bytes.view(), 0, changed.bytes.size());
      continue;
    }
    RunRecord run;
    const uint8_t* stored = nullptr;
    while (walk.next_run(&run, &stored)) {
      changed.digests.note(changed.bytes.view(), run.offset, run.length);
    }
  }
}

void Image::write_part(const MessageView& message, uint64_t from, uint64_t to) {
  MessageView::Walk walk(message);
  RegionRecord record;
  uint64_t at = 0;
  while (walk.next_region(&record)) {
    const auto region = regions_.find(record.id);
    RunRecord run;
    const uint8_t* stored = nullptr;
    while (walk.next_run(&run, &stored)) {
      if (at >= from && at < to) {
        CHECK(run.offset + run.length <= region->second.bytes.size(), "a run is within its region");
        CHECK(unpack(run, stored, region->second.bytes.data() + run.offset),
              "the contents were verified");
      }
      at += run.length;
    }
  }
}

void Image::write(const MessageView& message, uint64_t bytes) {
  if (bytes < second_thread_from_bytes_) return write_part(message, 0, bytes);
  std::thread second;
  try {
    second = service_thread([&] { write_part(message, bytes / 2, bytes); });
  } catch (const std::system_error&) {
    return write_part(message, 0, bytes);
  }
  write_part(message, 0, bytes / 2);
  second.join();
}

Outcome Image::apply(const MessageView& message) {
  if (checked_ && !message.is_base() && digest_of_tables() != tables_digest_) {
    return tables_turned();
  }
  if (Outcome outcome = judge_sequence(position_, message.header()); !outcome) return outcome;
  if (Outcome outcome = message.verify_contents(); !outcome) return outcome;
  Change change;
  if (Outcome outcome = prepare(message, &change); !outcome) return outcome;
  if (Outcome outcome = check_touched(message); !outcome) return outcome;
  if (message.is_base()) regions_.clear();
  MessageView::Walk walk(message);
  RegionRecord record;
  uint64_t bytes = 0;
  while (walk.next_region(&record)) {
    if ((record.flags & kRemoved) != 0) {
      regions_.erase(record.id);
      continue;
    }
    Region& region = regions_[record.id];
    const auto made = change.replaced.find(record.id);
    if (made != change.replaced.end()) region.bytes = std::move(made->second.bytes);
    region.address = record.address;
    RunRecord run;
    const uint8_t* stored = nullptr;
    while (walk.next_run(&run, &stored)) bytes += run.length;
  }
  write(message, bytes);
  note(message, change);
  position_ = {message.header().state, message.header().sequence};
  user_word_ = message.header().user_word;
  taken_at_ns_ = message.header().taken_at_ns;
  if (checked_) tables_digest_ = digest_of_tables();
  return Outcome::ok();
}

Expected<ByteBuffer> Image::to_base(const MessageOptions& options) const {
  if (position_.sequence == 0) return failure(AUXIN_CHECKPOINT_EMPTY, "the image is empty");
  if (Outcome outcome = check(); !outcome) return outcome;
  MessageWriter writer({position_.state, 0, position_.sequence, taken_at_ns_, user_word_},
                       options);
  uint64_t bytes = 0;
  for (const auto& [id, region] : regions_) bytes += region.bytes.size();
  writer.expect(bytes);
  for (const auto& [id, region] : regions_) {
    writer.begin_region(id, region.bytes.size(), region.address, kWhole);
    writer.add_contents(0, region.bytes.data(), region.bytes.size());
  }
  return writer.finish();
}

}  // namespace auxin::checkpoint
