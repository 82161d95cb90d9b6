// SPDX-License-Identifier: Apache-2.0
//
// Hooks: condition variables, and their C11 forms.
//
// A wait goes to the facet if its mutex is a contention point, or the thread says so (guard.h):
// libc releases and takes the mutex inside, past the mutex hooks. A signal has no mutex and goes by
// its call site.
#include <errno.h>

#include "libmeta_os/hooks.h"
#include "libmeta_os/meta_objects.h"
#include "libmeta_os/reify.h"

namespace auxin::os {
namespace {

// The clock that a condition was initialised with: bit 1 of glibc's __wrefs, as its own
// pthread_cond_timedwait reads it.
clockid_t clock_of(pthread_cond_t* cond) {
  const unsigned flags = __atomic_load_n(&cond->__data.__wrefs, __ATOMIC_RELAXED);
  return (flags & 2) != 0 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
}

bool to_libc(pthread_mutex_t* mutex, CallSite site) {
  if (waits_reified && !at_meta_level()) [[unlikely]] return false;
  return unselected(mutex_tag(mutex).load(std::memory_order_relaxed)) ||
         !mutex_reified(mutex, false, site);
}

int order(pthread_cond_t* cond, pthread_mutex_t* mutex, const Deadline& deadline, CallSite site) {
  return ThreadMetaMutex(mutex, site).wait(cond, deadline);
}

pthread_mutex_t* of(mtx_t* mutex) { return reinterpret_cast<pthread_mutex_t*>(mutex); }
pthread_cond_t* of(cnd_t* cond) { return reinterpret_cast<pthread_cond_t*>(cond); }
static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t));

int c11_result(int error) {
  switch (error) {
    case 0: return thrd_success;
    case ETIMEDOUT: return thrd_timedout;
    case ENOMEM: return thrd_nomem;
    default: return thrd_error;
  }
}

}  // namespace

int hook::pthread_cond_wait(pthread_cond_t* cond, pthread_mutex_t* mutex) {
  if (to_libc(mutex, AUXIN_CALL_SITE)) return real().pthread_cond_wait(cond, mutex);
  return order(cond, mutex, {}, AUXIN_CALL_SITE);
}

int hook::pthread_cond_timedwait(pthread_cond_t* cond, pthread_mutex_t* mutex,
                                 const timespec* deadline) {
  if (to_libc(mutex, AUXIN_CALL_SITE)) return real().pthread_cond_timedwait(cond, mutex, deadline);
  return order(cond, mutex, {Deadline::Kind::kAbsolute, clock_of(cond), deadline},
               AUXIN_CALL_SITE);
}

int hook::pthread_cond_clockwait(pthread_cond_t* cond, pthread_mutex_t* mutex, clockid_t clock,
                                 const timespec* deadline) {
  if (to_libc(mutex, AUXIN_CALL_SITE)) {
    return real().pthread_cond_clockwait(cond, mutex, clock, deadline);
  }
  return order(cond, mutex, {Deadline::Kind::kAbsolute, clock, deadline}, AUXIN_CALL_SITE);
}

int hook::pthread_cond_signal(pthread_cond_t* cond) {
  if (!site_reified(AUXIN_CALL_SITE)) return real().pthread_cond_signal(cond);
  return facets.synchronisation->cond_signal(cond, false, AUXIN_CALL_SITE);
}

int hook::pthread_cond_broadcast(pthread_cond_t* cond) {
  if (!site_reified(AUXIN_CALL_SITE)) return real().pthread_cond_broadcast(cond);
  return facets.synchronisation->cond_signal(cond, true, AUXIN_CALL_SITE);
}

int hook::cnd_wait(cnd_t* cond, mtx_t* mutex) {
  if (to_libc(of(mutex), AUXIN_CALL_SITE)) return real().cnd_wait(cond, mutex);
  return c11_result(order(of(cond), of(mutex), {}, AUXIN_CALL_SITE));
}

int hook::cnd_timedwait(cnd_t* cond, mtx_t* mutex, const timespec* deadline) {
  if (to_libc(of(mutex), AUXIN_CALL_SITE)) return real().cnd_timedwait(cond, mutex, deadline);
  return c11_result(order(of(cond), of(mutex),
                          {Deadline::Kind::kAbsolute, CLOCK_REALTIME, deadline}, AUXIN_CALL_SITE));
}

int hook::cnd_signal(cnd_t* cond) {
  if (!site_reified(AUXIN_CALL_SITE)) return real().cnd_signal(cond);
  return c11_result(facets.synchronisation->cond_signal(of(cond), false, AUXIN_CALL_SITE));
}

int hook::cnd_broadcast(cnd_t* cond) {
  if (!site_reified(AUXIN_CALL_SITE)) return real().cnd_broadcast(cond);
  return c11_result(facets.synchronisation->cond_signal(of(cond), true, AUXIN_CALL_SITE));
}

}  // namespace auxin::os
