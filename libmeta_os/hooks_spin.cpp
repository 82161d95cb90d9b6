// SPDX-License-Identifier: Apache-2.0
//
// Hooks: spin locks, barriers and once controls. They have no room for a verdict: each call goes by
// its call site.
#include "libmeta_os/hooks.h"
#include "libmeta_os/reify.h"

namespace auxin::os {

int hook::pthread_spin_init(pthread_spinlock_t* lock, int shared) {
  SynchronisationFacet* const facet = at_meta_level() ? nullptr : facets.synchronisation;
  if (facet == nullptr) return real().pthread_spin_init(lock, shared);
  return facet->spin_init(lock, shared);
}

int hook::pthread_spin_destroy(pthread_spinlock_t* lock) {
  SynchronisationFacet* const facet = at_meta_level() ? nullptr : facets.synchronisation;
  if (facet == nullptr) return real().pthread_spin_destroy(lock);
  return facet->spin_destroy(lock);
}

int hook::pthread_spin_lock(pthread_spinlock_t* lock) {
  if (!site_reified(AUXIN_CALL_SITE)) return real().pthread_spin_lock(lock);
  return facets.synchronisation->spin_lock(lock, false, AUXIN_CALL_SITE);
}

int hook::pthread_spin_trylock(pthread_spinlock_t* lock) {
  if (!site_reified(AUXIN_CALL_SITE)) return real().pthread_spin_trylock(lock);
  return facets.synchronisation->spin_lock(lock, true, AUXIN_CALL_SITE);
}

int hook::pthread_spin_unlock(pthread_spinlock_t* lock) {
  if (!site_reified(AUXIN_CALL_SITE)) return real().pthread_spin_unlock(lock);
  return facets.synchronisation->spin_unlock(lock, AUXIN_CALL_SITE);
}

int hook::pthread_barrier_wait(pthread_barrier_t* barrier) {
  if (!site_reified(AUXIN_CALL_SITE)) return real().pthread_barrier_wait(barrier);
  return facets.synchronisation->barrier_wait(barrier, AUXIN_CALL_SITE);
}

int hook::pthread_once(pthread_once_t* control, void (*routine)()) {
  if (!site_reified(AUXIN_CALL_SITE)) return real().pthread_once(control, routine);
  return facets.synchronisation->once(control, routine, AUXIN_CALL_SITE);
}

void hook::call_once(once_flag* flag, void (*routine)()) {
  static_assert(sizeof(once_flag) == sizeof(pthread_once_t));
  if (!site_reified(AUXIN_CALL_SITE)) return real().call_once(flag, routine);
  facets.synchronisation->once(reinterpret_cast<pthread_once_t*>(flag), routine, AUXIN_CALL_SITE);
}

}  // namespace auxin::os
