// SPDX-License-Identifier: Apache-2.0
//
// Ordered mutexes and the conditions on them.
//
// The mutex itself holds identity and number of acquisitions (mutex_tag.h); both change only while
// it is held. cond_wait is a release and a re-acquisition whose result is part of the decision; in
// a follower nobody waits on the real condition, so no wake-up can be lost or come too early. When
// a follower in such a wait becomes the leader, the wait returns once spuriously: its waker may
// already have been replayed.
#include <errno.h>

#include "libmeta_os/counters.h"
#include "libmeta_os/guard.h"
#include "libmeta_os/object_tag.h"
#include "libmeta_os/real_calls.h"
#include "replication/connection_choice.h"
#include "replication/contention_identity.h"
#include "replication/decision.h"
#include "replication/live_waits.h"
#include "replication/replica.h"
#include "replication/request_events.h"
#include "replication/synchronisation.h"
#include "replication/turns.h"

namespace auxin::replication {
namespace {

uint32_t* count_word(pthread_mutex_t* mutex) {
  return reinterpret_cast<uint32_t*>(reinterpret_cast<char*>(mutex) + 32);
}

int real_lock(pthread_mutex_t* mutex, const os::Deadline& deadline) {
  switch (deadline.kind) {
    case os::Deadline::Kind::kNever:
      return os::real().pthread_mutex_lock(mutex);
    case os::Deadline::Kind::kTry:
      return os::real().pthread_mutex_trylock(mutex);
    case os::Deadline::Kind::kAbsolute:
      break;
  }
  return deadline.clock == CLOCK_REALTIME
             ? os::real().pthread_mutex_timedlock(mutex, deadline.time)
             : os::real().pthread_mutex_clocklock(mutex, deadline.clock, deadline.time);
}

AcquireForm form_of(const os::Deadline& deadline) {
  switch (deadline.kind) {
    case os::Deadline::Kind::kTry: return AcquireForm::kMutexTry;
    case os::Deadline::Kind::kAbsolute: return AcquireForm::kMutexTimed;
    default: return AcquireForm::kMutex;
  }
}

inline bool acquired(int result) { return result == 0 || result == EOWNERDEAD; }

// Logs an acquisition that has just happened (or failed) and numbers it. A condition's wait that
// timed out has re-acquired the mutex too.
inline void log_acquisition(Decision& decision, pthread_mutex_t* mutex, AcquireForm form,
                            int result) {
  uint64_t number = 0;
  uint64_t identity = 0;
  const bool woke = (form == AcquireForm::kCondWake && (result == 0 || result == ETIMEDOUT)) ||
                    form == AcquireForm::kCondSpurious;
  if (acquired(result) || woke) {
    auto count = os::mutex_count(mutex);
    number = count.load(std::memory_order_relaxed) + 1;
    count.store(number, std::memory_order_release);
    identity = identity_for_log(os::mutex_tag(mutex), decision);
  }
  decision.log_acquire(identity, number, form, result);
}

// A follower's acquisition number `entry.number`, in its turn.
void acquire_in_turn(pthread_mutex_t* mutex, const stm::LogEntry& entry) {
  check_identity(os::mutex_tag(mutex), entry);
  await_turn(count_word(mutex), static_cast<uint32_t>(entry.number - 1));
  os::real().pthread_mutex_lock(mutex);
  os::mutex_count(mutex).store(entry.number, std::memory_order_release);
}

inline void count_ordered(pthread_mutex_t* mutex) {
  os::count_ordered(os::tag_class(os::mutex_tag(mutex).load(std::memory_order_relaxed)));
}

// Without a tag there is no room for a number: robust and process-shared mutexes pass through.
bool orderable(pthread_mutex_t* mutex) {
  const uint64_t tag = os::mutex_tag(mutex).load(std::memory_order_relaxed);
  return os::tag_valid(tag) && os::tag_selected(tag);
}

}  // namespace

int OrderedSynchronisation::mutex_lock(pthread_mutex_t* mutex, const os::Deadline& deadline,
                                       os::CallSite site) {
  Activity* const activity = ordering_activity();
  if (activity->id == 0 || !orderable(mutex)) return real_lock(mutex, deadline);
  const AcquireForm form = form_of(deadline);
  count_ordered(mutex);
  announce_contention_point(mutex, ContentionStage::kBefore);
  Decision decision(site, activity);
  stm::LogEntry logged;
  while (!decision.replay(&logged)) {
    const int result = real_lock(mutex, deadline);
    if (decision.begin_logging()) [[likely]] {
      log_acquisition(decision, mutex, form, result);
      announce_contention_point(mutex, ContentionStage::kAfter);
      return result;
    }
    if (acquired(result)) os::real().pthread_mutex_unlock(mutex);
  }
  decision.expect(logged, form);
  if (logged.flags == ETIMEDOUT) decision.await_its_time();
  if (acquired(logged.flags)) acquire_in_turn(mutex, logged);
  decision.done();
  announce_contention_point(mutex, ContentionStage::kAfter);
  return logged.flags;
}

int OrderedSynchronisation::mutex_unlock(pthread_mutex_t* mutex, os::CallSite) {
  // Read before the release: the object may be gone the moment after.
  const uint32_t count =
      static_cast<uint32_t>(os::mutex_count(mutex).load(std::memory_order_relaxed));
  uint32_t* word = count_word(mutex);
  const int result = os::real().pthread_mutex_unlock(mutex);
  if (!replica->leads()) pass_turn(word, count);
  return result;
}

int OrderedSynchronisation::cond_wait(pthread_cond_t* cond, pthread_mutex_t* mutex,
                                      const os::Deadline& deadline, os::CallSite site) {
  Activity* const activity = ordering_activity();
  if (activity->id == 0 || !orderable(mutex))
    return wait_in_connection_choice(cond, mutex, deadline, site);
  count_ordered(mutex);
  Decision decision(site, activity);
  stm::LogEntry logged;
  if (replica->leads()) {
    decision.replay(&logged);
    int result;
    {
      const LiveWait wait(cond);
      result = os::SynchronisationFacet::cond_wait(cond, mutex, deadline, site);
    }
    if (decision.begin_logging()) {
      log_acquisition(decision, mutex, AcquireForm::kCondWake, result);
      return result;
    }
  }
  mutex_unlock(mutex, site);
  while (!decision.replay(&logged)) {
    // This replica leads now: one spurious return.
    os::real().pthread_mutex_lock(mutex);
    if (decision.begin_logging()) {
      log_acquisition(decision, mutex, AcquireForm::kCondSpurious, 0);
      return 0;
    }
    mutex_unlock(mutex, site);
  }
  const bool spurious = logged.call == static_cast<uint16_t>(AcquireForm::kCondSpurious);
  decision.expect(logged, spurious ? AcquireForm::kCondSpurious : AcquireForm::kCondWake);
  if (spurious || logged.flags == ETIMEDOUT) decision.await_its_time();
  if (logged.number != 0) {
    acquire_in_turn(mutex, logged);
  } else {
    os::real().pthread_mutex_lock(mutex);  // the wait failed at once: nothing was released
  }
  decision.done();
  return logged.flags;
}

}  // namespace auxin::replication
