// SPDX-License-Identifier: Apache-2.0
//
// Hooks: mutexes, and their C11 forms (same object, other result codes).
//
// The tag is read before an unlock: afterwards the mutex may be gone.
#include <errno.h>

#include "libmeta_os/hooks.h"
#include "libmeta_os/reify.h"
#include "metamarkers/marker_stack.h"

namespace auxin::os {
namespace {

[[gnu::always_inline]] inline bool to_libc(pthread_mutex_t* mutex) {
  return unselected(mutex_tag(mutex).load(std::memory_order_relaxed));
}

int order(pthread_mutex_t* mutex, const Deadline& deadline, CallSite site) {
  return facets.synchronisation->mutex_lock(mutex, deadline, site);
}

// The rest of the three calls that are hot, kept out of them so that their fast paths save no
// register and need no frame.
[[gnu::noinline]] int lock_slowly(pthread_mutex_t* mutex, CallSite site) {
  if (!mutex_reified(mutex, true, site)) return real().pthread_mutex_lock(mutex);
  return order(mutex, {}, site);
}

[[gnu::noinline]] int trylock_slowly(pthread_mutex_t* mutex, CallSite site) {
  if (!mutex_reified(mutex, true, site)) return real().pthread_mutex_trylock(mutex);
  return order(mutex, {Deadline::Kind::kTry}, site);
}

[[gnu::noinline]] int unlock_slowly(pthread_mutex_t* mutex, CallSite site) {
  if (!mutex_reified(mutex, false, site)) return real().pthread_mutex_unlock(mutex);
  return facets.synchronisation->mutex_unlock(mutex, site);
}

pthread_mutex_t* of(mtx_t* mutex) { return reinterpret_cast<pthread_mutex_t*>(mutex); }
static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t));

int c11_result(int error) {
  switch (error) {
    case 0: return thrd_success;
    case EBUSY: return thrd_busy;
    case ETIMEDOUT: return thrd_timedout;
    case ENOMEM: return thrd_nomem;
    default: return thrd_error;
  }
}

}  // namespace

int hook::pthread_mutex_init(pthread_mutex_t* mutex, const pthread_mutexattr_t* attributes) {
  const int error = real().pthread_mutex_init(mutex, attributes);
  if (error != 0 || at_meta_level()) return error;
  markers::MarkerStack& markers = markers::this_thread();
  if (markers.depth() > 0 && markers.innermost(markers::Role::kMutexFactory) != nullptr) {
    select_at_creation(mutex, AUXIN_CALL_SITE);
  }
  return 0;
}

int hook::pthread_mutex_destroy(pthread_mutex_t* mutex) {
  const bool tagged = tag_valid(mutex_tag(mutex).load(std::memory_order_relaxed));
  const int error = real().pthread_mutex_destroy(mutex);
  if (error == 0 && tagged) mutex_tag(mutex).store(0, std::memory_order_relaxed);
  return error;
}

int hook::pthread_mutex_lock(pthread_mutex_t* mutex) {
  if (to_libc(mutex)) return real().pthread_mutex_lock(mutex);
  return lock_slowly(mutex, AUXIN_CALL_SITE);
}

int hook::pthread_mutex_trylock(pthread_mutex_t* mutex) {
  if (to_libc(mutex)) return real().pthread_mutex_trylock(mutex);
  return trylock_slowly(mutex, AUXIN_CALL_SITE);
}

int hook::pthread_mutex_timedlock(pthread_mutex_t* mutex, const timespec* deadline) {
  if (to_libc(mutex)) return real().pthread_mutex_timedlock(mutex, deadline);
  if (!mutex_reified(mutex, true, AUXIN_CALL_SITE)) {
    return real().pthread_mutex_timedlock(mutex, deadline);
  }
  return order(mutex, {Deadline::Kind::kAbsolute, CLOCK_REALTIME, deadline}, AUXIN_CALL_SITE);
}

int hook::pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock,
                                  const timespec* deadline) {
  if (to_libc(mutex)) return real().pthread_mutex_clocklock(mutex, clock, deadline);
  if (!mutex_reified(mutex, true, AUXIN_CALL_SITE)) {
    return real().pthread_mutex_clocklock(mutex, clock, deadline);
  }
  return order(mutex, {Deadline::Kind::kAbsolute, clock, deadline}, AUXIN_CALL_SITE);
}

int hook::pthread_mutex_unlock(pthread_mutex_t* mutex) {
  if (to_libc(mutex)) return real().pthread_mutex_unlock(mutex);
  return unlock_slowly(mutex, AUXIN_CALL_SITE);
}

int hook::mtx_lock(mtx_t* mutex) {
  if (to_libc(of(mutex))) return real().mtx_lock(mutex);
  if (!mutex_reified(of(mutex), true, AUXIN_CALL_SITE)) return real().mtx_lock(mutex);
  return c11_result(order(of(mutex), {}, AUXIN_CALL_SITE));
}

int hook::mtx_trylock(mtx_t* mutex) {
  if (to_libc(of(mutex))) return real().mtx_trylock(mutex);
  if (!mutex_reified(of(mutex), true, AUXIN_CALL_SITE)) return real().mtx_trylock(mutex);
  return c11_result(order(of(mutex), {Deadline::Kind::kTry}, AUXIN_CALL_SITE));
}

int hook::mtx_timedlock(mtx_t* mutex, const timespec* deadline) {
  if (to_libc(of(mutex))) return real().mtx_timedlock(mutex, deadline);
  if (!mutex_reified(of(mutex), true, AUXIN_CALL_SITE)) {
    return real().mtx_timedlock(mutex, deadline);
  }
  return c11_result(
      order(of(mutex), {Deadline::Kind::kAbsolute, CLOCK_REALTIME, deadline}, AUXIN_CALL_SITE));
}

int hook::mtx_unlock(mtx_t* mutex) {
  if (to_libc(of(mutex))) return real().mtx_unlock(mutex);
  if (!mutex_reified(of(mutex), false, AUXIN_CALL_SITE)) return real().mtx_unlock(mutex);
  return c11_result(facets.synchronisation->mutex_unlock(of(mutex), AUXIN_CALL_SITE));
}

}  // namespace auxin::os
