// SPDX-License-Identifier: Apache-2.0
#include "replication/ordered_section.h"

#include "replication/decision.h"
#include "replication/divergence.h"
#include "replication/futex.h"
#include "replication/rehearsal/leave_out.h"
#include "replication/replica.h"
#include "replication/request_turns.h"
#include "replication/turns.h"

namespace auxin::replication {
namespace {

constexpr uint64_t kLookUpPatienceNs = 20'000'000;

// The object table, as far as its order goes.
FutexLock section_lock;                       // one section at a time
std::atomic<uint32_t> readers{0};             // look-ups in progress in the leader
std::atomic<uint32_t> closed{0};              // a section runs: look-ups wait
uint32_t version = 0;                         // sections completed
uint32_t looked_up = 0;                       // look-ups completed

std::atomic_ref<uint32_t> version_now() { return std::atomic_ref<uint32_t>(version); }
std::atomic_ref<uint32_t> looked_up_now() { return std::atomic_ref<uint32_t>(looked_up); }

thread_local constinit int depth = 0;
thread_local constinit bool in_section = false;
thread_local constinit bool in_look_up = false;
thread_local constinit bool counted_reader = false;
thread_local constinit const markers::JoinPoint* entered = nullptr;  // by the request, latest
thread_local constinit bool settling = false;
thread_local constinit bool replied = false;
std::atomic<uint32_t> ending{0};    // requests that have replied and not ended
std::atomic<uint32_t> settlers{0};  // those that wait for them

uint64_t hash(const std::string& name) {
  uint64_t value = 0xcbf29ce484222325ull;
  for (const char c : name) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return value | 1;
}

// At least: a look-up that a section of the leader did not wait for may be overtaken here too.
void await_version(uint32_t wanted) {
  for (uint32_t seen; static_cast<int32_t>((seen = version_now().load()) - wanted) < 0 &&
                      !replica->leads();)
    await_change(&version, seen);
}

void await_look_ups(uint32_t wanted) {
  for (uint32_t seen; static_cast<int32_t>((seen = looked_up_now().load()) - wanted) < 0 &&
                      !replica->leads();)
    await_change(&looked_up, seen);
}

// Keeps new look-ups out and lets those in progress finish, for a moment.
void close_table() {
  closed.store(1);
  const uint64_t deadline = monotonic_ns() + kLookUpPatienceNs;
  for (uint32_t count; (count = readers.load()) != 0 && monotonic_ns() < deadline;)
    futex_wait(&readers, count, kLookUpPatienceNs / 8);
}

void open_table() {
  closed.store(0);
  futex_wake(&closed, 0x7fffffff);
}

void forget_reply() {
  if (!replied) return;
  replied = false;
  if (ending.fetch_sub(1) == 1 && settlers.load() != 0) futex_wake(&ending, 0x7fffffff);
}

}  // namespace

void begin_look_up() {
  entered = nullptr;
  if (current_activity()->id == 0) return;
  in_look_up = true;
  Decision decision(os::CallSite{nullptr});
  stm::LogEntry logged;
  while (!decision.replay(&logged)) {
    if (!decision.begin_logging()) continue;
    const uint64_t turn = begin_turn();
    for (;;) {
      readers.fetch_add(1);
      if (closed.load() == 0) break;
      readers.fetch_sub(1);
      futex_wake(&readers, 1);
      futex_wait(&closed, 1, kLookUpPatienceNs);
    }
    counted_reader = true;
    decision.log_value(ValueForm::kLookUp, version_now().load(), turn, 0);
    return;
  }
  decision.expect(logged, ValueForm::kLookUp);
  follow_turn(logged.number, decision.position());
  await_version(static_cast<uint32_t>(logged.object));
  decision.done();
}

void end_look_up() {
  if (!in_look_up) return;
  in_look_up = false;
  looked_up_now().fetch_add(1);
  announce_change(&looked_up);
  if (!counted_reader) return;
  counted_reader = false;
  if (readers.fetch_sub(1) == 1 && closed.load() != 0) futex_wake(&readers, 1);
}

void enter_ordered_section(const markers::JoinPoint& point) {
  if (current_activity()->id == 0 || join_points_are_left_out() || ++depth > 1) return;
  entered = &point;
  end_look_up();  // application code that a look-up called (a servant manager) is past it
  const uint64_t name = hash(point.name);
  Decision decision(os::CallSite{nullptr});
  stm::LogEntry logged;
  while (!decision.replay(&logged)) {
    section_lock.lock();
    if (!decision.begin_logging()) {
      section_lock.unlock();
      continue;
    }
    close_table();
    const uint64_t number = version_now().load() + 1;
    decision.log_acquire(name, number << 32 | looked_up_now().load(), AcquireForm::kJoinPoint, 0);
    in_section = true;
    return;
  }
  decision.expect(logged, AcquireForm::kJoinPoint);
  if (logged.object != name) diverge("it enters another ordered section than the leader did");
  await_version(static_cast<uint32_t>(logged.number >> 32) - 1);
  await_look_ups(static_cast<uint32_t>(logged.number));
  section_lock.lock();
  decision.done();
  in_section = true;
}

void end_ordered_section() {
  if (!in_section) return;
  in_section = false;
  version_now().fetch_add(1);
  if (closed.load() != 0) open_table();
  section_lock.unlock();
  announce_change(&version);
}

void leave_ordered_section() {
  if (depth == 0) return;
  if (--depth == 0) end_ordered_section();
}

void note_reply() {
  if (replied || !is_request(current_activity()->id)) return;
  replied = true;
  ending.fetch_add(1);
}

void begin_settling() {
  if (entered == nullptr || settling) return;
  settling = true;
  forget_reply();
  enter_ordered_section(*entered);
  settlers.fetch_add(1);
  const uint64_t deadline = monotonic_ns() + kLookUpPatienceNs;
  for (uint32_t count; (count = ending.load()) != 0 && monotonic_ns() < deadline;)
    futex_wait(&ending, count, kLookUpPatienceNs / 8);
  settlers.fetch_sub(1);
}

void end_settling() {
  entered = nullptr;
  forget_reply();
  if (!settling) return;
  settling = false;
  leave_ordered_section();
}

}  // namespace auxin::replication
