// SPDX-License-Identifier: Apache-2.0
//
// A capture, and the message of it.
//
//   rounds   look, copy what is told, while the process goes on
//   pause    look, copy what is told since; method fork: look, fork
//   message  the staged pages of each region, in order; where pages are compared (methods full and
//            fork), without those that are as in the last message
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "checkpoint/detection/memory_access.h"
#include "checkpoint/state/named_state.h"
#include "stmemu/check.h"

namespace auxin::checkpoint {
namespace {

uint64_t now_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

// False: some of it can't be read, and the capture will say so.
bool NamedState::copy_pages(const NamedRegion& region, uint64_t first, uint64_t count, char* to) {
  if (options_.read_carefully) {
    const uint64_t page = region.first_page() + first * kPageBytes;
    const uint64_t begin = std::max(page, region.address);
    const uint64_t end = std::min(page + count * kPageBytes, region.end());
    if (begin != page) std::memset(to, 0, begin - page);
    std::memset(to + (end - page), 0, page + count * kPageBytes - end);
    if (read_memory(to + (begin - page), begin, end - begin)) return true;
    unreadable_ = begin;
    return false;
  }
  alignas(64) char scratch[kPageBytes];
  if (!region.has_all_of(first)) {
    std::memcpy(to, region.page_contents(first, scratch), kPageBytes);
    ++first, --count, to += kPageBytes;
  }
  if (count != 0 && !region.has_all_of(first + count - 1)) {
    --count;
    std::memcpy(to + count * kPageBytes, region.page_contents(first + count, scratch),
                kPageBytes);
  }
  std::memcpy(to, reinterpret_cast<const char*>(region.first_page() + first * kPageBytes),
              count * kPageBytes);
  return true;
}

void NamedState::stage(const PageRun& run) {
  while (cursor_ < by_address_.size() && by_address_[cursor_]->page_end() <= run.begin) ++cursor_;
  for (size_t i = cursor_; i < by_address_.size(); ++i) {
    NamedRegion& region = *by_address_[i];
    const uint64_t begin = std::max(region.first_page(), run.begin);
    const uint64_t end = std::min(region.page_end(), run.end);
    if (region.first_page() >= run.end) break;
    if (begin >= end) continue;
    const uint64_t first = (begin - region.first_page()) / kPageBytes;
    const uint64_t count = (end - begin) / kPageBytes;
    if (forks()) {
      add_task({&region, first, count, run.kind});
    } else {
      stage_pages(region, first, count, run.kind);
    }
  }
}

// In the pause: by mmap, not by malloc.
void NamedState::add_task(const ImageChild::Task& task) {
  if (task_count_ == tasks_.count()) {
    CHECK(tasks_.resize(task_count_ == 0 ? 1024 : task_count_ * 2, false), "memory for a list");
  }
  tasks_[task_count_++] = task;
}

void NamedState::stage_pages(NamedRegion& region, uint64_t first, uint64_t count, RunKind kind) {
  Slot* slots = &region.slots[first];
  if (kind != RunKind::kChanged) {
    std::fill(slots, slots + count, kZeroSlot);
    return;
  }
  for (uint64_t i = 0; i < count;) {
    const bool fresh = slots[i] == kNoSlot || slots[i] == kZeroSlot;
    uint64_t alike = 1;
    if (fresh) {
      while (i + alike < count &&
             (slots[i + alike] == kNoSlot || slots[i + alike] == kZeroSlot)) {
        ++alike;
      }
      const Slot slot = staging_.take(alike);
      for (uint64_t k = 0; k < alike; ++k) slots[i + k] = slot + static_cast<Slot>(k);
    }
    if (!copy_pages(region, first + i, alike, staging_.at(slots[i]))) return;
    i += alike;
  }
}

void NamedState::look_and_stage() {
  cursor_ = 0;
  const RunVisitor visitor{this, [](void* self, const PageRun& run) {
                             static_cast<NamedState*>(self)->stage(run);
                           }};
  statistics_.last.look = tracker_.look(visitor);
}

void NamedState::begin_base() {
  whole_ = true;
  tracker_.begin_anew();
  objects_.mark_all();
  forget_digests();
}

void NamedState::note_digests() {
  if (!compares()) return;
  alignas(64) char scratch[kPageBytes];
  for (const auto& [id, region] : regions_) {
    for (uint64_t page = 0; page < region->page_count(); ++page) {
      const char* from = region->page_contents(page, scratch, options_.read_carefully);
      if (from != nullptr) page_differs(*region, page, from);
    }
  }
}

void NamedState::forget_digests() {
  for (const auto& [id, region] : regions_) region->digests.set_zeros();
}

Outcome NamedState::unreadable(uint64_t address) {
  char text[120];
  std::snprintf(text, sizeof text, "memory of the state can't be read or written, from %#llx on",
                static_cast<unsigned long long>(address));
  return failure(AUXIN_CHECKPOINT_MEMORY, text);
}

Outcome NamedState::capture(CaptureKind kind, uint32_t rounds) {
  const Call call(*this);
  if (!call.outcome) return call.outcome;
  unreadable_ = 0;
  if (Outcome outcome = refuse_if_busy(); !outcome) return outcome;
  const bool base = kind == CaptureKind::kBase || position_.sequence == 0;
  CaptureReport& report = statistics_.last;
  report = CaptureReport{};
  report.method = choice_.method;
  if (base) begin_base();
  task_count_ = 0;
  // Where nothing is tracked, a round would copy everything again and spare nothing.
  const uint32_t useful_rounds = tracker_.method() == TrackingMethod::kFull ? 0 : rounds;
  for (uint32_t i = 0; i < useful_rounds; ++i) look_and_stage();
  report.rounds = useful_rounds;

  if (options_.pause != nullptr) options_.pause(options_.pause_context);
  const uint64_t began_ns = now_ns(CLOCK_MONOTONIC);
  look_and_stage();
  const bool carefully = options_.read_carefully;
  report.object_bytes = objects_.collect(carefully ? &unreadable_ : nullptr);
  const bool to_fork = forks() && unreadable_ == 0;
  const int error = to_fork ? child_.start(tasks_.data(), task_count_, staging_, carefully) : 0;
  report.pause_ns = now_ns(CLOCK_MONOTONIC) - began_ns;
  if (options_.resume != nullptr) options_.resume(options_.pause_context);

  taken_at_ns_ = now_ns(CLOCK_REALTIME);
  if (error != 0) {
    return failure(AUXIN_CHECKPOINT_NO_MEMORY,
                   std::string("no child can be forked: ") + std::strerror(error));
  }
  if (unreadable_ != 0) {
    tracker_.begin_anew();  // what was told and not copied is told again
    return unreadable(unreadable_);
  }
  report.base = whole_;
  report.staged_pages = staging_.used();
  note_reason();
  statistics_.pause_ns += report.pause_ns;
  statistics_.longest_pause_ns = std::max(statistics_.longest_pause_ns, report.pause_ns);
  captured_ = true;
  return Outcome::ok();
}

void NamedState::note_reason() {
  CaptureReport& report = statistics_.last;
  if (choice_.method == TrackingMethod::kWpAsync &&
      tracker_.method() != TrackingMethod::kWpAsync) {
    choice_.method = report.method = tracker_.method();
    choice_.reason = tracker_.reason();
  }
  report.reason = report.look.dense_ranges != 0
                      ? "more than a fifth changes each time: copied whole, a sample tracked"
                      : choice_.reason;
}

void NamedState::abandon() {
  const Call call(*this);
  if (!captured_) return;
  captured_ = false;
  if (!child_.running()) return;
  child_.kill_and_wait();
  // The child's work is in unknown condition: everything counts as new, and is found again.
  forget_digests();
  clear_staged();
}

Expected<ByteBuffer> NamedState::message() {
  const Call call(*this);
  if (!call.outcome) return call.outcome;
  if (!captured_) return failure(AUXIN_CHECKPOINT_WRONG_CALL, "there is no capture");
  captured_ = false;
  if (forks()) {
    uint64_t used = 0;
    if (!child_.wait(&used)) {
      forget_digests();
      clear_staged();
      if (child_.unreadable() != 0) return unreadable(child_.unreadable());
      return failure(AUXIN_CHECKPOINT_INPUT_OUTPUT, "the child that held the image was killed");
    }
    staging_.set_used(used);
  } else if (compares()) {
    drop_unchanged();
  }
  Expected<ByteBuffer> message = write_message();
  if (!message) return message;
  CaptureReport& report = statistics_.last;
  position_.sequence += 1;
  report.sequence = position_.sequence;
  report.message_bytes = message->size();
  statistics_.message_bytes += message->size();
  ++(whole_ ? statistics_.bases : statistics_.increments);
  whole_ = false;
  removed_.clear();
  for (const auto& [id, region] : regions_) {
    region->announced = true;
    region->announced_bytes = region->size_bytes;
  }
  for (uint32_t i = 0; i < objects_.count(); ++i) {
    objects_[i].staged = false;
    objects_[i].announced = objects_[i].used;
  }
  clear_staged();
  return message;
}

void NamedState::clear_staged() {
  for (const auto& [id, region] : regions_) region->slots.set_zeros();
  staging_.clear();
}

uint64_t NamedState::drop_unchanged() {
  uint64_t changed = 0;
  for (const auto& [id, region] : regions_) {
    for (uint64_t page = 0; page < region->page_count(); ++page) {
      Slot& slot = region->slots[page];
      if (slot == kNoSlot) continue;
      const char* from = slot == kZeroSlot ? nullptr : staging_.at(slot);
      if (page_differs(*region, page, from)) {
        ++changed;
      } else {
        slot = kNoSlot;
      }
    }
  }
  return changed;
}

void NamedState::write_region(NamedRegion& region, MessageWriter& writer) {
  const uint64_t pages = region.page_count();
  for (uint64_t first = 0; first < pages;) {
    const Slot slot = region.slots[first];
    if (slot == kNoSlot) {
      ++first;
      continue;
    }
    uint64_t count = 1;
    const auto continues = [&](Slot next) {
      return slot == kZeroSlot ? next == kZeroSlot : next == slot + count && next != kZeroSlot;
    };
    while (first + count < pages && continues(region.slots[first + count])) ++count;
    statistics_.last.changed_pages += count;
    const uint64_t page = region.first_page() + first * kPageBytes;
    const uint64_t begin = std::max(page, region.address);
    const uint64_t end = std::min(page + count * kPageBytes, region.end());
    if (slot == kZeroSlot) {
      writer.add_zeros(begin - region.address, end - begin);
    } else {
      writer.add_contents(begin - region.address, staging_.at(slot) + (begin - page),
                          end - begin);
    }
    first += count;
  }
}

Expected<ByteBuffer> NamedState::write_message() {
  MessageWriter writer({position_.state, whole_ ? 0 : position_.sequence,
                        position_.sequence + 1, taken_at_ns_, user_word_},
                       options_.message);
  writer.expect(staging_.used() * kPageBytes);
  // Ranges, objects and what was removed, in one order.
  std::set<uint64_t> ids;
  for (const auto& [id, region] : regions_) ids.insert(id);
  for (const auto& [id, index] : object_of_id_) {
    const ObjectMarks::Object& object = objects_[index];
    if (object.staged || whole_ || !object.announced) ids.insert(id);
  }
  if (!whole_) ids.insert(removed_.begin(), removed_.end());
  for (const uint64_t id : ids) {
    if (const auto found = regions_.find(id); found != regions_.end()) {
      NamedRegion& region = *found->second;
      const bool is_new = whole_ || !region.announced;
      const bool has_pages =
          std::any_of(region.slots.data(), region.slots.data() + region.slots.count(),
                      [](Slot slot) { return slot != kNoSlot; });
      if (!is_new && !has_pages && region.size_bytes == region.announced_bytes) continue;
      writer.begin_region(id, region.size_bytes, region.address, is_new ? kWhole : 0u);
      write_region(region, writer);
    } else if (const auto object = object_of_id_.find(id); object != object_of_id_.end()) {
      const ObjectMarks::Object& of = objects_[object->second];
      writer.begin_region(id, of.size_bytes, of.address, kWhole);
      writer.add_contents(0, of.copy.data(), of.size_bytes);
    } else {
      writer.add_removed_region(id);
    }
  }
  Expected<ByteBuffer> message = writer.finish();
  if (message) {
    MessageHeader header;
    std::memcpy(&header, message->data(), sizeof(header));
    statistics_.last.content_bytes = header.content_bytes;
  } else if (compares()) {
    forget_digests();
  }
  return message;
}

}  // namespace auxin::checkpoint
