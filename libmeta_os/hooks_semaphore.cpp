// SPDX-License-Identifier: Apache-2.0
//
// Hooks: POSIX semaphores. A semaphore is classified by whoever first waits or posts.
//
// sem_post may run in a signal handler and, once the semaphore is known, does what libc's does and
// one count. After a post the semaphore may be gone: the tag is read before.
#include "libmeta_os/hooks.h"
#include "libmeta_os/reify.h"

namespace auxin::os {
namespace {

bool to_libc(sem_t* semaphore, CallSite site) {
  return unselected(semaphore_tag(semaphore).load(std::memory_order_relaxed)) ||
         !semaphore_reified(semaphore, true, site);
}

int order(sem_t* semaphore, const Deadline& deadline, CallSite site) {
  return facets.synchronisation->sem_wait(semaphore, deadline, site);
}

}  // namespace

int hook::sem_init(sem_t* semaphore, int shared, unsigned value) {
  const int result = real().sem_init(semaphore, shared, value);
  if (result == 0) {
    semaphore_tag(semaphore).store(0, std::memory_order_relaxed);
    semaphore_count(semaphore).store(0, std::memory_order_relaxed);
  }
  return result;
}

int hook::sem_destroy(sem_t* semaphore) {
  const uint64_t tag = semaphore_tag(semaphore).load(std::memory_order_relaxed);
  const bool told = tag_valid(tag) && tag_selected(tag) && facets.synchronisation != nullptr &&
                    !at_meta_level();
  return told ? facets.synchronisation->sem_destroyed(semaphore) : real().sem_destroy(semaphore);
}

int hook::sem_wait(sem_t* semaphore) {
  if (to_libc(semaphore, AUXIN_CALL_SITE)) return real().sem_wait(semaphore);
  return order(semaphore, {}, AUXIN_CALL_SITE);
}

int hook::sem_trywait(sem_t* semaphore) {
  if (to_libc(semaphore, AUXIN_CALL_SITE)) return real().sem_trywait(semaphore);
  return order(semaphore, {Deadline::Kind::kTry}, AUXIN_CALL_SITE);
}

int hook::sem_timedwait(sem_t* semaphore, const timespec* deadline) {
  if (to_libc(semaphore, AUXIN_CALL_SITE)) return real().sem_timedwait(semaphore, deadline);
  return order(semaphore, {Deadline::Kind::kAbsolute, CLOCK_REALTIME, deadline}, AUXIN_CALL_SITE);
}

int hook::sem_clockwait(sem_t* semaphore, clockid_t clock, const timespec* deadline) {
  if (to_libc(semaphore, AUXIN_CALL_SITE)) return real().sem_clockwait(semaphore, clock, deadline);
  return order(semaphore, {Deadline::Kind::kAbsolute, clock, deadline}, AUXIN_CALL_SITE);
}

int hook::sem_post(sem_t* semaphore) {
  if (to_libc(semaphore, AUXIN_CALL_SITE)) return real().sem_post(semaphore);
  return facets.synchronisation->sem_post(semaphore, AUXIN_CALL_SITE);
}

int hook::sem_getvalue(sem_t* semaphore, int* value) {
  if (to_libc(semaphore, AUXIN_CALL_SITE)) return real().sem_getvalue(semaphore, value);
  return facets.synchronisation->sem_getvalue(semaphore, value, AUXIN_CALL_SITE);
}

}  // namespace auxin::os
