// SPDX-License-Identifier: Apache-2.0
//
// Ordered read-write locks. The lock's own count word holds two halves: write acquisitions so far
// (the version) and read acquisitions since the last of them. A reader's decision is the version it
// saw; a writer's is its version and how many readers came before it. So readers of one version are
// not ordered among themselves, which is what a read-write lock is for.
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

uint32_t* version_word(pthread_rwlock_t* lock) {
  return reinterpret_cast<uint32_t*>(reinterpret_cast<char*>(lock) + 16);
}
std::atomic_ref<uint32_t> version(pthread_rwlock_t* lock) {
  return std::atomic_ref<uint32_t>(*version_word(lock));
}
uint32_t* readers_word(pthread_rwlock_t* lock) { return version_word(lock) + 1; }
std::atomic_ref<uint32_t> readers(pthread_rwlock_t* lock) {
  return std::atomic_ref<uint32_t>(*readers_word(lock));
}

int real_lock(pthread_rwlock_t* lock, bool exclusive, const os::Deadline& deadline) {
  const os::RealCalls& real = os::real();
  switch (deadline.kind) {
    case os::Deadline::Kind::kNever:
      return exclusive ? real.pthread_rwlock_wrlock(lock) : real.pthread_rwlock_rdlock(lock);
    case os::Deadline::Kind::kTry:
      return exclusive ? real.pthread_rwlock_trywrlock(lock) : real.pthread_rwlock_tryrdlock(lock);
    case os::Deadline::Kind::kAbsolute:
      break;
  }
  return exclusive ? real.pthread_rwlock_clockwrlock(lock, deadline.clock, deadline.time)
                   : real.pthread_rwlock_clockrdlock(lock, deadline.clock, deadline.time);
}

AcquireForm form_of(bool exclusive, const os::Deadline& deadline) {
  const int base = static_cast<int>(exclusive ? AcquireForm::kWrite : AcquireForm::kRead);
  return static_cast<AcquireForm>(base + static_cast<int>(deadline.kind));
}
static_assert(static_cast<int>(AcquireForm::kReadTry) == static_cast<int>(AcquireForm::kRead) + 1);
static_assert(static_cast<int>(AcquireForm::kWriteTimed) ==
              static_cast<int>(AcquireForm::kWrite) + 2);

// number of a write: version << 32 | readers before it; of a read: the version.
void follow(pthread_rwlock_t* lock, bool exclusive, const stm::LogEntry& entry) {
  check_identity(os::rwlock_tag(lock), entry);
  if (!exclusive) {
    const uint32_t wanted = static_cast<uint32_t>(entry.number);
    for (uint32_t seen; (seen = version(lock).load()) != wanted && !replica->leads();)
      await_change(version_word(lock), seen);
    os::real().pthread_rwlock_rdlock(lock);
    readers(lock).fetch_add(1);
    announce_change(readers_word(lock));
    return;
  }
  const uint32_t number = static_cast<uint32_t>(entry.number >> 32);
  const uint32_t before = static_cast<uint32_t>(entry.number);
  for (uint32_t seen; (seen = version(lock).load()) != number - 1 && !replica->leads();)
    await_change(version_word(lock), seen);
  for (uint32_t seen; (seen = readers(lock).load()) != before && !replica->leads();)
    await_change(readers_word(lock), seen);
  os::real().pthread_rwlock_wrlock(lock);
  readers(lock).store(0);
  version(lock).store(number);
  announce_change(version_word(lock));
}

uint64_t number_live(pthread_rwlock_t* lock, bool exclusive) {
  if (!exclusive) {
    const uint32_t seen = version(lock).load();
    readers(lock).fetch_add(1);
    return seen;
  }
  const uint32_t number = version(lock).load() + 1;
  const uint32_t before = readers(lock).load();
  readers(lock).store(0);
  version(lock).store(number);
  return uint64_t{number} << 32 | before;
}

}  // namespace

int OrderedSynchronisation::rwlock_lock(pthread_rwlock_t* lock, bool exclusive,
                                        const os::Deadline& deadline, os::CallSite site) {
  const uint64_t tag = os::rwlock_tag(lock).load(std::memory_order_relaxed);
  Activity* const activity = ordering_activity();
  if (activity->id == 0 || !os::tag_valid(tag))
    return real_lock(lock, exclusive, deadline);
  os::count_ordered(os::tag_class(tag));
  Decision decision(site, activity);
  const AcquireForm form = form_of(exclusive, deadline);
  stm::LogEntry logged;
  while (!decision.replay(&logged)) {
    const int result = real_lock(lock, exclusive, deadline);
    if (!decision.begin_logging()) {
      if (result == 0) os::real().pthread_rwlock_unlock(lock);
      continue;
    }
    if (result != 0) {
      decision.log_acquire(0, 0, form, result);
    } else {
      const uint64_t number = number_live(lock, exclusive);
      decision.log_acquire(identity_for_log(os::rwlock_tag(lock), decision), number, form, 0);
    }
    return result;
  }
  decision.expect(logged, form);
  if (logged.flags == ETIMEDOUT) decision.await_its_time();
  if (logged.flags == 0) follow(lock, exclusive, logged);
  decision.done();
  return logged.flags;
}

int OrderedSynchronisation::rwlock_unlock(pthread_rwlock_t* lock, os::CallSite) {
  return os::real().pthread_rwlock_unlock(lock);
}

}  // namespace auxin::replication
