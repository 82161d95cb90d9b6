// SPDX-License-Identifier: Apache-2.0
//
// The synchronisation facet of the semi-active style: contention points are acquired in every
// replica in the order in which the leader acquired them (DESIGN 4.3).
//
// An ordered acquisition is one log entry, published after the real lock was taken and before it
// can be released, and the acquisition's number is kept in the lock. A follower waits for its turn
// and then takes its own real lock, uncontended. Threads without an activity are not ordered.
#pragma once

#include "libmeta_os/facets.h"

namespace auxin::replication {

class OrderedSynchronisation final : public os::SynchronisationFacet {
 public:
  int mutex_lock(pthread_mutex_t* mutex, const os::Deadline& deadline, os::CallSite site) override;
  int mutex_unlock(pthread_mutex_t* mutex, os::CallSite site) override;
  int cond_wait(pthread_cond_t* cond, pthread_mutex_t* mutex, const os::Deadline& deadline,
                os::CallSite site) override;
  int rwlock_lock(pthread_rwlock_t* lock, bool exclusive, const os::Deadline& deadline,
                  os::CallSite site) override;
  int rwlock_unlock(pthread_rwlock_t* lock, os::CallSite site) override;
  int sem_wait(sem_t* semaphore, const os::Deadline& deadline, os::CallSite site) override;
  int sem_getvalue(sem_t* semaphore, int* value, os::CallSite site) override;
  int spin_init(pthread_spinlock_t* lock, int shared) override;
  int spin_destroy(pthread_spinlock_t* lock) override;
  int spin_lock(pthread_spinlock_t* lock, bool try_only, os::CallSite site) override;
  int spin_unlock(pthread_spinlock_t* lock, os::CallSite site) override;
  int barrier_wait(pthread_barrier_t* barrier, os::CallSite site) override;
  int once(pthread_once_t* control, void (*routine)(), os::CallSite site) override;
};

}  // namespace auxin::replication
