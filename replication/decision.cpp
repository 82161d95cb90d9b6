// SPDX-License-Identifier: Apache-2.0
#include "replication/decision.h"

#include "libmeta_os/modules.h"
#include "replication/divergence.h"
#include "replication/replay.h"
#include "stmemu/check.h"

namespace auxin::replication {

thread_local constinit std::atomic<LiveState> live_state{LiveState::kFree};

uint64_t Decision::site_offset() const {
  // Call sites are few: a small memory per thread makes the common case one comparison.
  struct Known {
    const void* address;
    uint64_t offset;
  };
  static thread_local constinit Known known[32];
  Known& entry = known[(reinterpret_cast<uintptr_t>(site_.address) * 0x9E3779B97F4A7C15ull) >> 59];
  if (entry.address == site_.address) return entry.offset;
  entry = Known{site_.address, find_site_offset()};
  return entry.offset;
}

uint64_t Decision::find_site_offset() const {
  const os::Module* module = os::module_of(site_.address);
  return reinterpret_cast<uintptr_t>(site_.address) - (module != nullptr ? module->base : 0);
}

bool Decision::follow(stm::LogEntry* entry) {
  return replication::replay.next_decision(activity_->id, step_, entry, &position_) ==
         Replay::Step::kLogged;
}

void Decision::await_its_time() { replication::replay.await_everything_before(position_); }

void Decision::done() { replication::replay.consumed(position_); }

uint64_t Decision::logged(uint64_t position) {
  set_live_state(before_logging_);
  return position;
}

uint64_t Decision::log(stm::LogEntry& entry) {
  CHECK(live_state_now() == LiveState::kPublishes, "begin_logging() comes before log…()");
  entry.activity = activity_->id;
  entry.step = step_;
  return logged(append(entry));
}

uint64_t Decision::log(stm::LogEntry& entry, const void* payload, uint32_t size_bytes) {
  CHECK(live_state_now() == LiveState::kPublishes, "begin_logging() comes before log…()");
  entry.activity = activity_->id;
  entry.step = step_;
  return logged(append_with_payload(entry, payload, size_bytes));
}

uint64_t Decision::log_acquire(uint64_t object, uint64_t number, AcquireForm form, int result) {
  stm::LogEntry entry{};
  entry.kind = kAcquire;
  entry.flags = static_cast<uint8_t>(result);
  entry.call = static_cast<uint16_t>(form);
  entry.object = object;
  entry.number = number;
  entry.payload_offset = site_offset();
  return log(entry);
}

uint64_t Decision::log_value(ValueForm form, uint64_t object, uint64_t number, int result) {
  stm::LogEntry entry{};
  entry.kind = kValue;
  entry.flags = static_cast<uint8_t>(result);
  entry.call = static_cast<uint16_t>(form);
  entry.object = object;
  entry.number = number;
  entry.payload_offset = site_offset();
  return log(entry);
}

uint64_t Decision::log_bytes(ValueForm form, const void* data, uint32_t size_bytes,
                             uint64_t object) {
  stm::LogEntry entry{};
  entry.kind = kValue;
  entry.call = static_cast<uint16_t>(form);
  entry.object = object;
  return log(entry, data, size_bytes);
}

uint64_t Decision::log_listener(uint64_t number, const void* address, uint32_t size_bytes,
                                int error) {
  stm::LogEntry entry{};
  entry.kind = kListener;
  entry.flags = static_cast<uint8_t>(error);
  entry.object = number;
  return log(entry, address, size_bytes);
}

uint64_t Decision::log_connect(uint64_t number, uint64_t slot, const void* address,
                               uint32_t size_bytes, int error) {
  stm::LogEntry entry{};
  entry.kind = kConnect;
  entry.flags = static_cast<uint8_t>(error);
  entry.object = number;
  entry.number = slot;
  return log(entry, address, size_bytes);
}

void Decision::expect(const stm::LogEntry& entry, AcquireForm form) const {
  if (entry.kind == kAcquire && entry.call == static_cast<uint16_t>(form) &&
      entry.payload_offset == site_offset())
    return;
  diverge("the leader made another call here: entry %llu has kind %u, form %u, site %#llx; this is "
          "an acquisition of form %u at site %#llx",
          static_cast<unsigned long long>(position_), entry.kind, entry.call,
          static_cast<unsigned long long>(entry.payload_offset), static_cast<unsigned>(form),
          static_cast<unsigned long long>(site_offset()));
}

void Decision::expect(const stm::LogEntry& entry, ValueForm form) const {
  if (entry.kind == kValue && entry.call == static_cast<uint16_t>(form)) return;
  diverge(
      "the leader made another call here: entry %llu has kind %u, form %u; this reads a value of "
      "form %u at site %#llx",
      static_cast<unsigned long long>(position_), entry.kind, entry.call,
      static_cast<unsigned>(form), static_cast<unsigned long long>(site_offset()));
}

}  // namespace auxin::replication
