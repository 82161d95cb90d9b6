// SPDX-License-Identifier: Apache-2.0
//
// The facets' default implementations: the libc functions.
#include "libmeta_os/facets.h"

#include <errno.h>

#include "libmeta_os/real_calls.h"

namespace auxin::os {

constinit Facets facets;
constinit Classification* classification = nullptr;

// ---- SynchronisationFacet -----------------------------------------------------------------------

int SynchronisationFacet::mutex_lock(pthread_mutex_t* mutex, const Deadline& deadline, CallSite) {
  switch (deadline.kind) {
    case Deadline::Kind::kNever:
      return real().pthread_mutex_lock(mutex);
    case Deadline::Kind::kTry:
      return real().pthread_mutex_trylock(mutex);
    case Deadline::Kind::kAbsolute:
      break;
  }
  return real().pthread_mutex_clocklock(mutex, deadline.clock, deadline.time);
}

int SynchronisationFacet::mutex_unlock(pthread_mutex_t* mutex, CallSite) {
  return real().pthread_mutex_unlock(mutex);
}

int SynchronisationFacet::cond_wait(pthread_cond_t* cond, pthread_mutex_t* mutex,
                                    const Deadline& deadline, CallSite) {
  if (deadline.kind == Deadline::Kind::kNever) return real().pthread_cond_wait(cond, mutex);
  return real().pthread_cond_clockwait(cond, mutex, deadline.clock, deadline.time);
}

int SynchronisationFacet::cond_signal(pthread_cond_t* cond, bool broadcast, CallSite) {
  return broadcast ? real().pthread_cond_broadcast(cond) : real().pthread_cond_signal(cond);
}

int SynchronisationFacet::rwlock_lock(pthread_rwlock_t* lock, bool exclusive,
                                      const Deadline& deadline, CallSite) {
  switch (deadline.kind) {
    case Deadline::Kind::kNever:
      return exclusive ? real().pthread_rwlock_wrlock(lock) : real().pthread_rwlock_rdlock(lock);
    case Deadline::Kind::kTry:
      return exclusive ? real().pthread_rwlock_trywrlock(lock)
                       : real().pthread_rwlock_tryrdlock(lock);
    case Deadline::Kind::kAbsolute:
      break;
  }
  return exclusive ? real().pthread_rwlock_clockwrlock(lock, deadline.clock, deadline.time)
                   : real().pthread_rwlock_clockrdlock(lock, deadline.clock, deadline.time);
}

int SynchronisationFacet::rwlock_unlock(pthread_rwlock_t* lock, CallSite) {
  return real().pthread_rwlock_unlock(lock);
}

int SynchronisationFacet::rwlock_destroyed(pthread_rwlock_t* lock) {
  return real().pthread_rwlock_destroy(lock);
}

int SynchronisationFacet::sem_wait(sem_t* semaphore, const Deadline& deadline, CallSite) {
  switch (deadline.kind) {
    case Deadline::Kind::kNever:
      return real().sem_wait(semaphore);
    case Deadline::Kind::kTry:
      return real().sem_trywait(semaphore);
    case Deadline::Kind::kAbsolute:
      break;
  }
  return real().sem_clockwait(semaphore, deadline.clock, deadline.time);
}

int SynchronisationFacet::sem_post(sem_t* semaphore, CallSite) {
  return real().sem_post(semaphore);
}

int SynchronisationFacet::sem_getvalue(sem_t* semaphore, int* value, CallSite) {
  return real().sem_getvalue(semaphore, value);
}

int SynchronisationFacet::sem_destroyed(sem_t* semaphore) { return real().sem_destroy(semaphore); }

int SynchronisationFacet::spin_init(pthread_spinlock_t* lock, int shared) {
  return real().pthread_spin_init(lock, shared);
}

int SynchronisationFacet::spin_destroy(pthread_spinlock_t* lock) {
  return real().pthread_spin_destroy(lock);
}

int SynchronisationFacet::spin_lock(pthread_spinlock_t* lock, bool try_only, CallSite) {
  return try_only ? real().pthread_spin_trylock(lock) : real().pthread_spin_lock(lock);
}

int SynchronisationFacet::spin_unlock(pthread_spinlock_t* lock, CallSite) {
  return real().pthread_spin_unlock(lock);
}

int SynchronisationFacet::barrier_wait(pthread_barrier_t* barrier, CallSite) {
  return real().pthread_barrier_wait(barrier);
}

int SynchronisationFacet::once(pthread_once_t* control, void (*routine)(), CallSite) {
  return real().pthread_once(control, routine);
}

// ---- ThreadFacet --------------------------------------------------------------------------------

int ThreadFacet::join(pthread_t thread, void** value, const Deadline& deadline, CallSite) {
  switch (deadline.kind) {
    case Deadline::Kind::kNever:
      return real().pthread_join(thread, value);
    case Deadline::Kind::kTry:
      return real().pthread_tryjoin_np(thread, value);
    case Deadline::Kind::kAbsolute:
      break;
  }
  return real().pthread_clockjoin_np(thread, value, deadline.clock, deadline.time);
}

// ---- DescriptorFacet ----------------------------------------------------------------------------

int DescriptorFacet::unlink(const char* path, CallSite) { return real().unlink(path); }
int DescriptorFacet::chmod(const char* path, mode_t mode, CallSite) {
  return real().chmod(path, mode);
}

int DescriptorFacet::bind(int fd, const sockaddr* address, socklen_t length, CallSite) {
  return real().bind(fd, address, length);
}

int DescriptorFacet::listen(int fd, int backlog, CallSite) { return real().listen(fd, backlog); }

int DescriptorFacet::connect(int fd, const sockaddr* address, socklen_t length, CallSite) {
  return real().connect(fd, address, length);
}

int DescriptorFacet::poll(pollfd* fds, nfds_t count, const timespec* timeout,
                          const sigset_t* mask) {
  return real().ppoll(fds, count, timeout, mask);
}

int DescriptorFacet::epoll_ctl(int epoll_fd, int operation, int fd, epoll_event* event) {
  return real().epoll_ctl(epoll_fd, operation, fd, event);
}

int DescriptorFacet::epoll_wait(int epoll_fd, epoll_event* events, int capacity,
                                const timespec* timeout, const sigset_t* mask) {
  return real().epoll_pwait2(epoll_fd, events, capacity, timeout, mask);
}

ssize_t DescriptorFacet::write_standard(int fd, const iovec* parts, int count) {
  return real().writev(fd, parts, count);
}

// ---- ValueFacet ---------------------------------------------------------------------------------

int ValueFacet::clock_gettime(clockid_t clock, timespec* time, CallSite) {
  return real().clock_gettime(clock, time);
}

int ValueFacet::gettimeofday(timeval* time, void* zone, CallSite) {
  return real().gettimeofday(time, zone);
}

time_t ValueFacet::time(time_t* time, CallSite) { return real().time(time); }

ssize_t ValueFacet::getrandom(void* buffer, size_t size, unsigned flags, CallSite) {
  return real().getrandom(buffer, size, flags);
}

long ValueFacet::random(CallSite) { return real().random(); }

int ValueFacet::rand(CallSite) { return real().rand(); }

unsigned ValueFacet::random_device(CallSite) { return real().arc4random(); }

pid_t ValueFacet::getpid() { return real().getpid(); }

int ValueFacet::clock_nanosleep(clockid_t clock, int flags, const timespec* request,
                                timespec* remaining, CallSite) {
  const int error = real().clock_nanosleep(clock, flags, request, remaining);
  if (error == 0) return 0;
  errno = error;
  return -1;
}

int ValueFacet::wait_for_signal(const sigset_t* set, siginfo_t* info, const timespec* timeout,
                                CallSite) {
  return real().sigtimedwait(set, info, timeout);
}

}  // namespace auxin::os
