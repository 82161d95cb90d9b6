// SPDX-License-Identifier: Apache-2.0
//
// Hooks: mutexes, and their C11 forms (same object, other result codes).
//
// The tag is read before an unlock: afterwards the mutex may be gone.
#include <errno.h>

#include "libmeta_os/hooks.h"
#include "libmeta_os/meta_objects.h"
#include "libmeta_os/reify.h"

namespace auxin::os {
namespace {

[[gnu::always_inline]] inline uint64_t tag_of(pthread_mutex_t* mutex) {
  return mutex_tag(mutex).load(std::memory_order_relaxed);
}

[[gnu::always_inline]] inline bool to_libc(pthread_mutex_t* mutex) {
  return unselected(tag_of(mutex));
}

// Whether the call goes to the facet, of a call that is not `to_libc`.
[[gnu::always_inline]] inline bool to_facet(pthread_mutex_t* mutex, bool first, CallSite site) {
  if (selected(tag_of(mutex))) [[likely]] return true;
  return !unclassified() && mutex_reified(mutex, first, site);
}

// The rest of the three calls that are hot, kept out of them so that their fast paths save no
// register and need no frame.
[[gnu::noinline]] int lock_slowly(pthread_mutex_t* mutex, CallSite site) {
  if (!to_facet(mutex, true, site)) return real().pthread_mutex_lock(mutex);
  return ThreadMetaMutex(mutex, site).lock({});
}

[[gnu::noinline]] int trylock_slowly(pthread_mutex_t* mutex, CallSite site) {
  if (!to_facet(mutex, true, site)) return real().pthread_mutex_trylock(mutex);
  return ThreadMetaMutex(mutex, site).lock({Deadline::Kind::kTry});
}

[[gnu::noinline]] int unlock_slowly(pthread_mutex_t* mutex, CallSite site) {
  if (!to_facet(mutex, false, site)) return real().pthread_mutex_unlock(mutex);
  return ThreadMetaMutex(mutex, site).unlock();
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
  if (error == 0 && !at_meta_level() && MetaThreadInfo::under(markers::Role::kMutexFactory)) {
    select_at_creation(mutex, AUXIN_CALL_SITE);
  }
  return error;
}

int hook::pthread_mutex_destroy(pthread_mutex_t* mutex) {
  const bool tagged = MetaMutex(mutex).classified();
  const int error = real().pthread_mutex_destroy(mutex);
  if (error == 0 && tagged) MetaMutex(mutex).forget();
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
  return ThreadMetaMutex(mutex, AUXIN_CALL_SITE)
      .lock({Deadline::Kind::kAbsolute, CLOCK_REALTIME, deadline});
}

int hook::pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock,
                                  const timespec* deadline) {
  if (to_libc(mutex)) return real().pthread_mutex_clocklock(mutex, clock, deadline);
  if (!mutex_reified(mutex, true, AUXIN_CALL_SITE)) {
    return real().pthread_mutex_clocklock(mutex, clock, deadline);
  }
  return ThreadMetaMutex(mutex, AUXIN_CALL_SITE)
      .lock({Deadline::Kind::kAbsolute, clock, deadline});
}

int hook::pthread_mutex_unlock(pthread_mutex_t* mutex) {
  if (to_libc(mutex)) return real().pthread_mutex_unlock(mutex);
  return unlock_slowly(mutex, AUXIN_CALL_SITE);
}

int hook::mtx_lock(mtx_t* mutex) {
  if (to_libc(of(mutex))) return real().mtx_lock(mutex);
  if (!mutex_reified(of(mutex), true, AUXIN_CALL_SITE)) return real().mtx_lock(mutex);
  return c11_result(ThreadMetaMutex(of(mutex), AUXIN_CALL_SITE).lock({}));
}

int hook::mtx_trylock(mtx_t* mutex) {
  if (to_libc(of(mutex))) return real().mtx_trylock(mutex);
  if (!mutex_reified(of(mutex), true, AUXIN_CALL_SITE)) return real().mtx_trylock(mutex);
  return c11_result(
      ThreadMetaMutex(of(mutex), AUXIN_CALL_SITE).lock({Deadline::Kind::kTry}));
}

int hook::mtx_timedlock(mtx_t* mutex, const timespec* deadline) {
  if (to_libc(of(mutex))) return real().mtx_timedlock(mutex, deadline);
  if (!mutex_reified(of(mutex), true, AUXIN_CALL_SITE)) {
    return real().mtx_timedlock(mutex, deadline);
  }
  return c11_result(ThreadMetaMutex(of(mutex), AUXIN_CALL_SITE)
                        .lock({Deadline::Kind::kAbsolute, CLOCK_REALTIME, deadline}));
}

int hook::mtx_unlock(mtx_t* mutex) {
  if (to_libc(of(mutex))) return real().mtx_unlock(mutex);
  if (!mutex_reified(of(mutex), false, AUXIN_CALL_SITE)) return real().mtx_unlock(mutex);
  return c11_result(ThreadMetaMutex(of(mutex), AUXIN_CALL_SITE).unlock());
}

}  // namespace auxin::os
