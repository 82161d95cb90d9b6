// SPDX-License-Identifier: Apache-2.0
#include "replication/ordered_section.h"

#include "replication/decision.h"
#include "replication/divergence.h"
#include "replication/futex.h"
#include "replication/replica.h"
#include "replication/turns.h"

namespace auxin::replication {
namespace {

struct Section {
  std::atomic<uint64_t> name{0};  // hash of the join point's name; 0: free
  FutexLock lock;
  alignas(8) uint64_t count = 0;
};
constexpr int kMaxSections = 64;
constinit Section sections[kMaxSections];

thread_local constinit int depth = 0;
thread_local constinit Section* held = nullptr;

uint64_t hash(const std::string& name) {
  uint64_t value = 0xcbf29ce484222325ull;
  for (const char c : name) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return value | 1;
}

Section* section_of(uint64_t name) {
  for (Section& section : sections) {
    uint64_t there = section.name.load(std::memory_order_acquire);
    if (there == 0 && section.name.compare_exchange_strong(there, name)) return &section;
    if (section.name.load(std::memory_order_acquire) == name) return &section;
  }
  return nullptr;
}

uint32_t* word(Section* section) { return reinterpret_cast<uint32_t*>(&section->count); }

}  // namespace

void enter_ordered_section(const markers::JoinPoint& point) {
  if (current_activity()->id == 0 || ++depth > 1) return;
  const uint64_t name = hash(point.name);
  Section* section = section_of(name);
  if (section == nullptr) return;
  std::atomic_ref<uint64_t> count(section->count);
  Decision decision(os::CallSite{nullptr});
  stm::LogEntry logged;
  if (!decision.replay(&logged)) {
    section->lock.lock();
    const uint64_t number = count.load() + 1;
    count.store(number);
    decision.log_acquire(name, number, AcquireForm::kJoinPoint, 0);
  } else {
    decision.expect(logged, AcquireForm::kJoinPoint);
    if (logged.object != name) diverge("it enters another ordered section than the leader did");
    await_turn(word(section), static_cast<uint32_t>(logged.number - 1));
    section->lock.lock();
    count.store(logged.number);
    decision.done();
  }
  held = section;
}

void end_ordered_section() {
  if (held == nullptr) return;
  Section* section = held;
  held = nullptr;
  const uint32_t count = static_cast<uint32_t>(std::atomic_ref<uint64_t>(section->count).load());
  section->lock.unlock();
  if (!replica->leads()) pass_turn(word(section), count);
}

void leave_ordered_section() {
  if (depth == 0) return;
  if (--depth == 0) end_ordered_section();
}

}  // namespace auxin::replication
