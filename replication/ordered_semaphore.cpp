// SPDX-License-Identifier: Apache-2.0
//
// Ordered semaphores: each successful wait has a number; a follower waits for its turn and then for
// the real semaphore, whose post may come later than it came in the leader.
#include <errno.h>

#include "libmeta_os/counters.h"
#include "libmeta_os/object_tag.h"
#include "libmeta_os/real_calls.h"
#include "replication/contention_identity.h"
#include "replication/decision.h"
#include "replication/replica.h"
#include "replication/synchronisation.h"
#include "replication/turns.h"

namespace auxin::replication {
namespace {

uint32_t* count_word(sem_t* semaphore) {
  return reinterpret_cast<uint32_t*>(reinterpret_cast<char*>(semaphore) + 24);
}

int real_wait(sem_t* semaphore, const os::Deadline& deadline) {
  switch (deadline.kind) {
    case os::Deadline::Kind::kNever:
      return os::real().sem_wait(semaphore);
    case os::Deadline::Kind::kTry:
      return os::real().sem_trywait(semaphore);
    case os::Deadline::Kind::kAbsolute:
      break;
  }
  return os::real().sem_clockwait(semaphore, deadline.clock, deadline.time);
}

AcquireForm form_of(const os::Deadline& deadline) {
  return static_cast<AcquireForm>(static_cast<int>(AcquireForm::kSemaphore) +
                                  static_cast<int>(deadline.kind));
}
static_assert(static_cast<int>(AcquireForm::kSemaphoreTimed) ==
              static_cast<int>(AcquireForm::kSemaphore) + 2);

void real_wait_uninterrupted(sem_t* semaphore) {
  while (os::real().sem_wait(semaphore) != 0 && errno == EINTR) {
  }
}

}  // namespace

int OrderedSynchronisation::sem_wait(sem_t* semaphore, const os::Deadline& deadline,
                                     os::CallSite site) {
  const uint64_t tag = os::semaphore_tag(semaphore).load(std::memory_order_relaxed);
  Activity* const activity = ordering_activity();
  if (activity->id == 0 || !os::tag_valid(tag)) return real_wait(semaphore, deadline);
  os::count_ordered(os::tag_class(tag));
  Decision decision(site, activity);
  const AcquireForm form = form_of(deadline);
  stm::LogEntry logged;
  while (!decision.replay(&logged)) {
    const int result = real_wait(semaphore, deadline);
    const int error = errno;
    if (!decision.begin_logging()) {
      if (result == 0) os::real().sem_post(semaphore);
      continue;
    }
    if (result != 0) {
      decision.log_acquire(0, 0, form, error);
    } else {
      const uint64_t number = os::semaphore_count(semaphore).fetch_add(1) + 1;
      decision.log_acquire(identity_for_log(os::semaphore_tag(semaphore), decision), number, form,
                           0);
    }
    errno = error;
    return result;
  }
  decision.expect(logged, form);
  if (logged.flags == ETIMEDOUT) decision.await_its_time();
  if (logged.flags == 0) {
    check_identity(os::semaphore_tag(semaphore), logged);
    await_turn(count_word(semaphore), static_cast<uint32_t>(logged.number - 1));
    real_wait_uninterrupted(semaphore);
    os::semaphore_count(semaphore).store(logged.number);
    pass_turn(count_word(semaphore), static_cast<uint32_t>(logged.number));
  }
  decision.done();
  if (logged.flags == 0) return 0;
  errno = logged.flags;
  return -1;
}

int OrderedSynchronisation::sem_getvalue(sem_t* semaphore, int* value, os::CallSite site) {
  Activity* const activity = ordering_activity();
  if (activity->id == 0) return os::real().sem_getvalue(semaphore, value);
  Decision decision(site, activity);
  stm::LogEntry logged;
  while (!decision.replay(&logged)) {
    const int result = os::real().sem_getvalue(semaphore, value);
    const int error = errno;
    if (!decision.begin_logging()) continue;
    decision.log_value(ValueForm::kSemValue, static_cast<uint64_t>(*value), 0,
                       result == 0 ? 0 : error);
    errno = error;
    return result;
  }
  decision.expect(logged, ValueForm::kSemValue);
  *value = static_cast<int>(logged.object);
  decision.done();
  if (logged.flags == 0) return 0;
  errno = logged.flags;
  return -1;
}

}  // namespace auxin::replication
