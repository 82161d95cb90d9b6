// SPDX-License-Identifier: Apache-2.0
#include "replication/connection_choice.h"

#include <errno.h>

#include "libmeta_os/guard.h"
#include "libmeta_os/real_calls.h"
#include "replication/decision.h"
#include "replication/futex.h"
#include "replication/live_waits.h"
#include "replication/replica.h"
#include "replication/turns.h"

namespace auxin::replication {
namespace {

FutexLock choice_lock;       // one choice at a time; taken before the ORB's own lock
uint32_t choices_made = 0;   // changed while the lock is held

thread_local constinit int depth = 0;

std::atomic_ref<uint32_t> made() { return std::atomic_ref<uint32_t>(choices_made); }

int libc_wait(pthread_cond_t* cond, pthread_mutex_t* mutex, const os::Deadline& deadline) {
  return os::SynchronisationFacet().cond_wait(cond, mutex, deadline, os::CallSite{nullptr});
}

// False: it is to be followed.
bool begin_logged(Decision& decision, int result) {
  choice_lock.lock();
  if (!decision.begin_logging()) {
    choice_lock.unlock();
    return false;
  }
  decision.log_acquire(0, made().load() + 1, AcquireForm::kConnectionChoice, result);
  return true;
}

// A follower's section number `entry.number`, in its turn.
void begin_in_turn(Decision& decision, const stm::LogEntry& entry) {
  decision.expect(entry, AcquireForm::kConnectionChoice);
  await_turn(&choices_made, static_cast<uint32_t>(entry.number - 1));
  choice_lock.lock();
  decision.done();
}

void begin() {
  Decision decision(os::CallSite{nullptr});
  stm::LogEntry logged;
  for (;;) {
    if (decision.replay(&logged)) {
      begin_in_turn(decision, logged);
      break;
    }
    if (begin_logged(decision, 0)) break;
  }
  os::waits_reified = true;
}

void end() {
  os::waits_reified = false;
  const uint32_t count = made().fetch_add(1) + 1;
  choice_lock.unlock();
  pass_turn(&choices_made, count);
}

}  // namespace

void enter_connection_choice() {
  if (current_activity()->id == 0 || ++depth > 1) return;
  begin();
}

void leave_connection_choice() {
  if (depth == 0 || --depth > 0) return;
  if (os::waits_reified) end();  // not where the wait inside was left by cancellation
}

int wait_in_connection_choice(pthread_cond_t* cond, pthread_mutex_t* mutex,
                              const os::Deadline& deadline, os::CallSite site) {
  if (!os::waits_reified) return libc_wait(cond, mutex, deadline);
  end();
  // Whatever happens, the choice's lock is taken before the ORB's.
  int result = 0;
  Decision decision(site);
  stm::LogEntry logged;
  if (replica->leads()) {
    const LiveWait wait(cond);
    result = libc_wait(cond, mutex, deadline);
  }
  os::real().pthread_mutex_unlock(mutex);
  // Who leads only since it waits here has a spurious return: result 0.
  while (!decision.replay(&logged)) {
    if (!begin_logged(decision, result)) continue;
    os::real().pthread_mutex_lock(mutex);
    os::waits_reified = true;
    return result;
  }
  result = logged.flags;
  if (result == ETIMEDOUT) decision.await_its_time();
  begin_in_turn(decision, logged);
  os::real().pthread_mutex_lock(mutex);
  os::waits_reified = true;
  return result;
}

}  // namespace auxin::replication
