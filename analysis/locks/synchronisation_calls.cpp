// SPDX-License-Identifier: Apache-2.0
#include "analysis/locks/synchronisation_calls.h"

#include <unordered_map>

namespace auxin::analysis {

Synchronisation synchronisation_of(std::string_view call) {
  constexpr auto kAcquires = Synchronisation::kAcquires;
  constexpr auto kReleases = Synchronisation::kReleases;
  static const std::unordered_map<std::string_view, Synchronisation> kCalls = {
      {"pthread_mutex_lock", kAcquires},
      {"pthread_mutex_trylock", kAcquires},
      {"pthread_mutex_timedlock", kAcquires},
      {"pthread_mutex_clocklock", kAcquires},
      {"pthread_mutex_unlock", kReleases},
      {"pthread_cond_wait", kAcquires},
      {"pthread_cond_timedwait", kAcquires},
      {"pthread_cond_clockwait", kAcquires},
      {"pthread_cond_signal", kReleases},
      {"pthread_cond_broadcast", kReleases},
      {"pthread_rwlock_rdlock", kAcquires},
      {"pthread_rwlock_tryrdlock", kAcquires},
      {"pthread_rwlock_timedrdlock", kAcquires},
      {"pthread_rwlock_clockrdlock", kAcquires},
      {"pthread_rwlock_wrlock", kAcquires},
      {"pthread_rwlock_trywrlock", kAcquires},
      {"pthread_rwlock_timedwrlock", kAcquires},
      {"pthread_rwlock_clockwrlock", kAcquires},
      {"pthread_rwlock_unlock", kReleases},
      {"sem_wait", kAcquires},
      {"sem_trywait", kAcquires},
      {"sem_timedwait", kAcquires},
      {"sem_clockwait", kAcquires},
      {"sem_post", kReleases},
      {"sem_getvalue", kAcquires},
      {"pthread_spin_lock", kAcquires},
      {"pthread_spin_trylock", kAcquires},
      {"pthread_spin_unlock", kReleases},
      {"pthread_barrier_wait", kAcquires},
      {"pthread_once", kAcquires},
      {"mtx_lock", kAcquires},
      {"mtx_trylock", kAcquires},
      {"mtx_timedlock", kAcquires},
      {"mtx_unlock", kReleases},
      {"cnd_wait", kAcquires},
      {"cnd_timedwait", kAcquires},
      {"cnd_signal", kReleases},
      {"cnd_broadcast", kReleases},
      {"call_once", kAcquires},
  };
  const auto known = kCalls.find(call);
  return known == kCalls.end() ? Synchronisation::kNone : known->second;
}

}  // namespace auxin::analysis
