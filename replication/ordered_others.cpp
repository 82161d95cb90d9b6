// SPDX-License-Identifier: Apache-2.0
//
// Ordered spin locks, barriers and once controls: objects without room for a tag. The identity and
// count of spin locks and once controls stand in a table by address (object_table.h).
#include "libmeta_os/guard.h"
#include "libmeta_os/real_calls.h"
#include "replication/contention_identity.h"
#include "replication/decision.h"
#include "replication/divergence.h"
#include "replication/object_table.h"
#include "replication/replica.h"
#include "replication/synchronisation.h"
#include "replication/turns.h"

namespace auxin::replication {
namespace {

uint32_t* count_word(TableObject* object) { return reinterpret_cast<uint32_t*>(&object->count); }
std::atomic_ref<uint64_t> tag_of(TableObject* object) {
  return std::atomic_ref<uint64_t>(object->tag);
}
std::atomic_ref<uint64_t> count_of(TableObject* object) {
  return std::atomic_ref<uint64_t>(object->count);
}

// What pthread_once runs instead of the application's routine: notes that this thread ran it.
struct OnceCall {
  void (*routine)();
  Decision* decision;
  TableObject* object;
  bool ran;
};
thread_local constinit OnceCall* once_call = nullptr;

// The thread has begun a once control's run, which it can't hand over to another one any more.
void log_own_run(const OnceCall& call) {
  Decision& decision = *call.decision;
  stm::LogEntry logged;
  do {
    if (!decision.begin_logging()) continue;
    decision.log_acquire(identity_for_log(tag_of(call.object), decision), 1, AcquireForm::kOnce, 0);
    return;
  } while (!decision.replay(&logged));
  // Restored from an image that was taken just here.
  decision.expect(logged, AcquireForm::kOnce);
  if (logged.number != 1) diverge("another thread of the leader ran a once control's routine");
  decision.done();
}

void run_once_routine() {
  OnceCall* call = once_call;
  call->ran = true;
  log_own_run(*call);  // published before its effects can be seen by anyone who finds it done
  call->routine();
}

bool is_done(pthread_once_t& control) {
  constexpr int kDone = 2;  // glibc's
  return (std::atomic_ref<int>(control).load(std::memory_order_acquire) & kDone) != 0;
}

}  // namespace

int OrderedSynchronisation::spin_init(pthread_spinlock_t* lock, int shared) {
  forget_table_object(const_cast<const int*>(lock));
  return os::real().pthread_spin_init(lock, shared);
}

int OrderedSynchronisation::spin_destroy(pthread_spinlock_t* lock) {
  forget_table_object(const_cast<const int*>(lock));
  return os::real().pthread_spin_destroy(lock);
}

int OrderedSynchronisation::spin_lock(pthread_spinlock_t* lock, bool try_only, os::CallSite site) {
  const auto real_lock = [&] {
    return try_only ? os::real().pthread_spin_trylock(lock) : os::real().pthread_spin_lock(lock);
  };
  Activity* const activity = ordering_activity();
  if (activity->id == 0) return real_lock();
  TableObject* object = table_object(const_cast<const int*>(lock));
  if (object == nullptr) return real_lock();
  Decision decision(site, activity);
  const AcquireForm form = try_only ? AcquireForm::kSpinTry : AcquireForm::kSpin;
  stm::LogEntry logged;
  while (!decision.replay(&logged)) {
    const int result = real_lock();
    if (!decision.begin_logging()) {
      if (result == 0) os::real().pthread_spin_unlock(lock);
      continue;
    }
    uint64_t number = 0;
    if (result == 0) {
      number = count_of(object).load() + 1;
      count_of(object).store(number);
    }
    decision.log_acquire(result == 0 ? identity_for_log(tag_of(object), decision) : 0, number, form,
                         result);
    return result;
  }
  decision.expect(logged, form);
  if (logged.flags == 0) {
    check_identity(tag_of(object), logged);
    await_turn(count_word(object), static_cast<uint32_t>(logged.number - 1));
    os::real().pthread_spin_lock(lock);
    count_of(object).store(logged.number);
  }
  decision.done();
  return logged.flags;
}

int OrderedSynchronisation::spin_unlock(pthread_spinlock_t* lock, os::CallSite) {
  // Looked up before: once it is free somebody else may destroy it, and make another one there.
  TableObject* const object =
      replica->leads() ? nullptr : known_table_object(const_cast<const int*>(lock));
  const auto count =
      object != nullptr ? static_cast<uint32_t>(count_of(object).load()) : uint32_t{0};
  const int result = os::real().pthread_spin_unlock(lock);
  if (object != nullptr) pass_turn(count_word(object), count);
  return result;
}

int OrderedSynchronisation::barrier_wait(pthread_barrier_t* barrier, os::CallSite site) {
  // Everybody waits for everybody: only who is told that it was the last is a decision.
  Activity* const activity = ordering_activity();
  if (activity->id == 0) return os::real().pthread_barrier_wait(barrier);
  Decision decision(site, activity);
  stm::LogEntry logged;
  if (replica->leads()) decision.replay(&logged);  // its step comes before the wait
  const int own = os::real().pthread_barrier_wait(barrier);
  while (!decision.replay(&logged)) {
    if (!decision.begin_logging()) continue;
    decision.log_acquire(0, own == PTHREAD_BARRIER_SERIAL_THREAD ? 1 : 0, AcquireForm::kBarrier, 0);
    return own;
  }
  decision.expect(logged, AcquireForm::kBarrier);
  decision.done();
  return logged.number == 1 ? PTHREAD_BARRIER_SERIAL_THREAD : 0;
}

int OrderedSynchronisation::once(pthread_once_t* control, void (*routine)(), os::CallSite site) {
  TableObject* object = table_object(control);
  Activity* const activity = ordering_activity();
  if (activity->id == 0 || object == nullptr)
    return os::real().pthread_once(control, routine);
  Decision decision(site, activity);
  stm::LogEntry logged;
  while (!decision.replay(&logged)) {
    OnceCall call{routine, &decision, object, false};
    OnceCall* outer = once_call;
    once_call = &call;
    const int result = os::real().pthread_once(control, run_once_routine);
    once_call = outer;
    if (call.ran) return result;
    if (!decision.begin_logging()) continue;
    decision.log_acquire(identity_for_log(tag_of(object), decision), 0, AcquireForm::kOnce, result);
    return result;
  }
  decision.expect(logged, AcquireForm::kOnce);
  if (logged.number == 1) {
    decision.done();  // published before the routine, whose own decisions come later
    const int result = os::real().pthread_once(control, routine);
    count_of(object).fetch_add(1);
    announce_change(count_word(object));
    return result;
  }
  // Another activity ran it in the leader; here too it must be that one. The control itself tells
  // when: the count may be that of an earlier one at this address.
  for (;;) {
    const uint32_t seen = static_cast<uint32_t>(count_of(object).load());
    if (is_done(*control) || replica->leads()) break;
    await_change(count_word(object), seen);
  }
  decision.done();
  return logged.flags;
}

}  // namespace auxin::replication
