// SPDX-License-Identifier: Apache-2.0
//
// The stable log's words and the protocol of its slots.
//
// Why a reader never believes what is not there:
//  (1) The stamp is stored last, with release; a slot whose stamp is not position + 1 is not yet
//      published, or belongs to another lap. Laps differ in every stamp.
//  (2) An appender reuses a slot or payload only after `begin` has passed it, and lets a release
//      fence stand between. So a reader that has read any newer byte also sees the newer `begin`
//      after its acquire fence, and answers kReleased, not kCorrupt.
//  (3) Whatever is wrong otherwise (a flipped bit, an overrun) is caught by the check.
// A reader touches only slots below `end` and payload below `payload_end`: behind these stands
// storage (reserve_log), beyond them even a load can fault on a full file system.
#include "stmemu/log/stable_log.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <new>

#include "stmemu/check.h"
#include "stmemu/log/log_slot.h"
#include "stmemu/log/store_step.h"

namespace auxin::stm {

// Appenders write the first two lines all the time, so what they only read stands apart.
struct StableLog::Header {
  alignas(64) std::atomic<uint64_t> end;
  alignas(64) std::atomic<uint64_t> payload_end;
  alignas(64) std::atomic<uint64_t> begin;
  std::atomic<uint64_t> payload_begin;
  alignas(64) std::atomic<uint32_t> wake_count;  // the futex of wait()
};

namespace {

constexpr uint64_t kPrefetchAhead = 8;  // entries

constexpr uint64_t kPayloadAlignmentBytes = 8;

constexpr uint64_t aligned(uint64_t size_bytes) {
  return (size_bytes + kPayloadAlignmentBytes - 1) & ~(kPayloadAlignmentBytes - 1);
}

// Never goes back, whoever else raises it at the same time.
void raise_to(std::atomic<uint64_t>& word, uint64_t value) {
  uint64_t seen = word.load(std::memory_order_relaxed);
  store_step();
  while (seen < value && !word.compare_exchange_weak(seen, value, std::memory_order_acq_rel)) {
  }
}

}  // namespace

void StableLog::format(StableMemory& memory) {
  static_assert(sizeof(Header) == 256);
  static_assert(offsetof(Header, payload_end) == 64 && offsetof(Header, begin) == 128 &&
                offsetof(Header, payload_begin) == 136 && offsetof(Header, wake_count) == 192);
  CHECK(memory.valid(), "a log needs a mapped memory");
  // Stamps of an earlier life would be taken for this one's; a new file has none.
  Header* header = static_cast<Header*>(memory.log_page());
  LogSlot* slots = static_cast<LogSlot*>(memory.entries());
  const uint64_t used = std::min(header->end.load(), memory.layout().entry_capacity);
  for (uint64_t index = 0; index < used; ++index) slots[index].stamp.store(0);
  new (header) Header{};
}

StableLog::StableLog(StableMemory& memory)
    : header_(static_cast<Header*>(memory.log_page())) {
  CHECK(memory.valid(), "a log needs a mapped memory");
  slots_ = static_cast<LogSlot*>(memory.entries());
  payload_ = static_cast<char*>(memory.payload());
  entry_mask_ = memory.layout().entry_capacity - 1;
  payload_mask_ = memory.layout().payload_size_bytes - 1;
  seed_ = memory.seed();
}

// --- appending ---

uint64_t StableLog::allocate_payload(uint64_t size_bytes) {
  return header_->payload_end.fetch_add(aligned(size_bytes), std::memory_order_relaxed);
}

char* StableLog::payload_at(uint64_t offset) const { return payload_ + (offset & payload_mask_); }

uint64_t StableLog::append(const LogEntry& entry) {
  const uint64_t position = reserve();
  publish(position, entry);
  return position;
}

uint64_t StableLog::append_if_room(const LogEntry& entry, uint64_t entries,
                                   uint64_t payload_bytes) {
  return has_room(entries, payload_bytes) ? append(entry) : kNoRoom;
}

uint64_t StableLog::reserve() {
  store_step();
  const uint64_t position = header_->end.fetch_add(1, std::memory_order_relaxed);
  // Entries to come lie in memory that no cache holds yet: fetched now, they are there in time.
  __builtin_prefetch(&slots_[(position + kPrefetchAhead) & entry_mask_], 1);
  return position;
}

void StableLog::publish(uint64_t position, const LogEntry& entry) {
  CHECK(entry.payload_size_bytes <= payload_mask_ + 1, "a payload fits into the ring");
  const PackedEntry packed = pack(entry);
  const uint64_t check = entry_check(seed_, position, packed, payload_at(entry.payload_offset));
  LogSlot& slot = slots_[position & entry_mask_];
  // (2) of the file's head: whoever sees a byte of this lap sees the release() before it.
  std::atomic_thread_fence(std::memory_order_release);
  store_step();
  slot.activity.store(packed.activity, std::memory_order_relaxed);
  store_step();
  slot.object.store(packed.object, std::memory_order_relaxed);
  store_step();
  slot.number.store(packed.number, std::memory_order_relaxed);
  store_step();
  slot.payload_offset.store(packed.payload_offset, std::memory_order_relaxed);
  store_step();
  slot.step_and_size.store(packed.step_and_size, std::memory_order_relaxed);
  store_step();
  slot.kind_and_check.store(packed.kind_and_call | check << 32, std::memory_order_relaxed);
  store_step();
  slot.outcome.store(0, std::memory_order_relaxed);
  store_step();
  slot.stamp.store(position + 1, std::memory_order_release);
}

bool StableLog::has_room(uint64_t entries, uint64_t payload_bytes) const {
  const uint64_t capacity = entry_mask_ + 1;
  const uint64_t payload_capacity = payload_mask_ + 1;
  if (entries > capacity || payload_bytes > payload_capacity) return false;
  const uint64_t used = end() - begin();
  const uint64_t payload_used = payload_end() - payload_begin();
  // For the payload bytes that the caller will now store, as in publish().
  std::atomic_thread_fence(std::memory_order_release);
  return used <= capacity - entries && payload_used <= payload_capacity - aligned(payload_bytes);
}

void StableLog::set_outcome(uint64_t position, uint32_t value) {
  CHECK(value < UINT32_MAX, "an outcome is below 2^32 - 1");
  LogSlot& slot = slots_[position & entry_mask_];
  if (slot.stamp.load(std::memory_order_acquire) != position + 1) {
    CHECK(position < begin(), "an outcome belongs to a published entry");
    return;  // released meanwhile: nobody will ask for it
  }
  const uint64_t word = outcome_word(seed_, position, value);
  uint64_t seen = slot.outcome.load(std::memory_order_acquire);
  do {
    if (seen == word) return;
    const bool set_already =
        seen != 0 && outcome_word(seed_, position, static_cast<uint32_t>(seen) - 1) == seen;
    CHECK(!set_already, "an outcome is set once");
    store_step();
  } while (!slot.outcome.compare_exchange_weak(seen, word, std::memory_order_acq_rel,
                                               std::memory_order_acquire));
}

bool StableLog::outcome(uint64_t position, uint32_t* value) const {
  if (position >= known_end(position)) return false;
  const LogSlot& slot = slots_[position & entry_mask_];
  if (slot.stamp.load(std::memory_order_acquire) != position + 1) return false;
  const uint64_t seen = slot.outcome.load(std::memory_order_acquire);
  if (seen == 0) return false;
  const uint32_t candidate = static_cast<uint32_t>(seen) - 1;
  if (outcome_word(seed_, position, candidate) != seen) return false;
  *value = candidate;
  return true;
}

// --- reading ---

StableLog::Read StableLog::read(uint64_t position, LogEntry* entry) const {
  if (position >= known_end(position)) return Read::kNotYet;
  const LogSlot& slot = slots_[position & entry_mask_];
  const uint64_t stamp = slot.stamp.load(std::memory_order_acquire);
  if (stamp != position + 1) {
    if (position < begin()) return Read::kReleased;
    // A later lap's stamp below `begin` + capacity cannot be: the slot is damaged or overrun.
    return stamp > position + 1 ? Read::kCorrupt : Read::kNotYet;
  }
  PackedEntry packed;
  packed.activity = slot.activity.load(std::memory_order_relaxed);
  packed.object = slot.object.load(std::memory_order_relaxed);
  packed.number = slot.number.load(std::memory_order_relaxed);
  packed.payload_offset = slot.payload_offset.load(std::memory_order_relaxed);
  packed.step_and_size = slot.step_and_size.load(std::memory_order_relaxed);
  const uint64_t kind_and_check = slot.kind_and_check.load(std::memory_order_relaxed);
  packed.kind_and_call = kind_and_check & kLow32Bits;

  const bool sound = payload_exists(packed.payload_offset, packed.step_and_size >> 32) &&
                     entry_check(seed_, position, packed, payload_at(packed.payload_offset)) ==
                         kind_and_check >> 32;
  std::atomic_thread_fence(std::memory_order_acquire);
  if (position < begin()) return Read::kReleased;
  if (!sound) return Read::kCorrupt;
  *entry = unpack(packed);
  return Read::kEntry;
}

// Whether all of the range has been allocated and none of it overwritten: the only lengths that
// are trusted are those that stay within it.
bool StableLog::payload_exists(uint64_t offset, uint64_t size_bytes) const {
  if (size_bytes == 0) return true;
  const uint64_t allocated_end = payload_end();
  const uint64_t back = allocated_end - offset;  // huge if the offset lies beyond
  return offset <= allocated_end && back <= payload_mask_ + 1 && size_bytes <= back;
}

// end(), or an earlier value of it that is beyond `position` already: a reader that is behind does
// not take the appenders' cache line from them at every entry.
uint64_t StableLog::known_end(uint64_t position) const {
  std::atomic_ref<uint64_t> known(known_end_);
  const uint64_t before = known.load(std::memory_order_relaxed);
  if (position < before) return before;
  const uint64_t now = end();
  known.store(now, std::memory_order_relaxed);
  return now;
}

uint64_t StableLog::begin() const { return header_->begin.load(std::memory_order_acquire); }
uint64_t StableLog::end() const { return header_->end.load(std::memory_order_acquire); }
uint64_t StableLog::payload_begin() const {
  return header_->payload_begin.load(std::memory_order_acquire);
}
uint64_t StableLog::payload_end() const {
  return header_->payload_end.load(std::memory_order_acquire);
}

void StableLog::wait(uint64_t position, uint32_t timeout_us) const {
  const uint32_t wakes = header_->wake_count.load(std::memory_order_acquire);
  if (end() > position) return;
  const timespec timeout = {static_cast<time_t>(timeout_us / 1'000'000),
                            static_cast<long>(timeout_us % 1'000'000) * 1000};
  const int error = errno;
  syscall(SYS_futex, &header_->wake_count, FUTEX_WAIT, wakes, &timeout, nullptr, 0);
  errno = error;
}

void StableLog::wake() const {
  header_->wake_count.fetch_add(1, std::memory_order_acq_rel);
  const int error = errno;
  syscall(SYS_futex, &header_->wake_count, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  errno = error;
}

// --- recovery and space ---

uint64_t StableLog::seal_holes() {
  const uint64_t last = end();
  const uint64_t capacity = entry_mask_ + 1;
  // What an overrun has overwritten is lost, and read() says so; only slots that exist are sealed.
  uint64_t position = std::max(begin(), last > capacity ? last - capacity : 0);
  uint64_t sealed = 0;
  for (; position < last; ++position) {
    const LogSlot& slot = slots_[position & entry_mask_];
    if (slot.stamp.load(std::memory_order_acquire) == position + 1) continue;
    publish(position, LogEntry{});
    ++sealed;
  }
  return sealed;
}

void StableLog::release(uint64_t position, uint64_t payload_offset) {
  CHECK(position <= end() && payload_offset <= payload_end(), "only what exists can be released");
  // In this order: who finds payload overwritten must find its entry released.
  raise_to(header_->begin, position);
  raise_to(header_->payload_begin, payload_offset);
}

}  // namespace auxin::stm
