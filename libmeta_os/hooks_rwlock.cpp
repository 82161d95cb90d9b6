// SPDX-License-Identifier: Apache-2.0
//
// Hooks: read-write locks (std::shared_mutex and std::shared_timed_mutex among them).
#include "libmeta_os/hooks.h"
#include "libmeta_os/reify.h"

namespace auxin::os {
namespace {

bool to_libc(pthread_rwlock_t* lock, bool first, CallSite site) {
  return unselected(rwlock_tag(lock).load(std::memory_order_relaxed)) ||
         !rwlock_reified(lock, first, site);
}

int order(pthread_rwlock_t* lock, bool exclusive, const Deadline& deadline, CallSite site) {
  return facets.synchronisation->rwlock_lock(lock, exclusive, deadline, site);
}

constexpr Deadline kTry{Deadline::Kind::kTry};
constexpr bool kShared = false;
constexpr bool kExclusive = true;

}  // namespace

int hook::pthread_rwlock_destroy(pthread_rwlock_t* lock) {
  const uint64_t tag = rwlock_tag(lock).load(std::memory_order_relaxed);
  if (!tag_valid(tag)) return real().pthread_rwlock_destroy(lock);
  const bool told = tag_selected(tag) && facets.synchronisation != nullptr && !at_meta_level();
  const int error = told ? facets.synchronisation->rwlock_destroyed(lock)
                         : real().pthread_rwlock_destroy(lock);
  if (error == 0) rwlock_tag(lock).store(0, std::memory_order_relaxed);
  return error;
}

int hook::pthread_rwlock_rdlock(pthread_rwlock_t* lock) {
  if (to_libc(lock, true, AUXIN_CALL_SITE)) return real().pthread_rwlock_rdlock(lock);
  return order(lock, kShared, {}, AUXIN_CALL_SITE);
}

int hook::pthread_rwlock_tryrdlock(pthread_rwlock_t* lock) {
  if (to_libc(lock, true, AUXIN_CALL_SITE)) return real().pthread_rwlock_tryrdlock(lock);
  return order(lock, kShared, kTry, AUXIN_CALL_SITE);
}

int hook::pthread_rwlock_timedrdlock(pthread_rwlock_t* lock, const timespec* deadline) {
  if (to_libc(lock, true, AUXIN_CALL_SITE)) {
    return real().pthread_rwlock_timedrdlock(lock, deadline);
  }
  return order(lock, kShared, {Deadline::Kind::kAbsolute, CLOCK_REALTIME, deadline},
               AUXIN_CALL_SITE);
}

int hook::pthread_rwlock_clockrdlock(pthread_rwlock_t* lock, clockid_t clock,
                                     const timespec* deadline) {
  if (to_libc(lock, true, AUXIN_CALL_SITE)) {
    return real().pthread_rwlock_clockrdlock(lock, clock, deadline);
  }
  return order(lock, kShared, {Deadline::Kind::kAbsolute, clock, deadline}, AUXIN_CALL_SITE);
}

int hook::pthread_rwlock_wrlock(pthread_rwlock_t* lock) {
  if (to_libc(lock, true, AUXIN_CALL_SITE)) return real().pthread_rwlock_wrlock(lock);
  return order(lock, kExclusive, {}, AUXIN_CALL_SITE);
}

int hook::pthread_rwlock_trywrlock(pthread_rwlock_t* lock) {
  if (to_libc(lock, true, AUXIN_CALL_SITE)) return real().pthread_rwlock_trywrlock(lock);
  return order(lock, kExclusive, kTry, AUXIN_CALL_SITE);
}

int hook::pthread_rwlock_timedwrlock(pthread_rwlock_t* lock, const timespec* deadline) {
  if (to_libc(lock, true, AUXIN_CALL_SITE)) {
    return real().pthread_rwlock_timedwrlock(lock, deadline);
  }
  return order(lock, kExclusive, {Deadline::Kind::kAbsolute, CLOCK_REALTIME, deadline},
               AUXIN_CALL_SITE);
}

int hook::pthread_rwlock_clockwrlock(pthread_rwlock_t* lock, clockid_t clock,
                                     const timespec* deadline) {
  if (to_libc(lock, true, AUXIN_CALL_SITE)) {
    return real().pthread_rwlock_clockwrlock(lock, clock, deadline);
  }
  return order(lock, kExclusive, {Deadline::Kind::kAbsolute, clock, deadline}, AUXIN_CALL_SITE);
}

int hook::pthread_rwlock_unlock(pthread_rwlock_t* lock) {
  if (to_libc(lock, false, AUXIN_CALL_SITE)) return real().pthread_rwlock_unlock(lock);
  return facets.synchronisation->rwlock_unlock(lock, AUXIN_CALL_SITE);
}

}  // namespace auxin::os
