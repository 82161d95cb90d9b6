// SPDX-License-Identifier: Apache-2.0
//
// The OS-level meta-interface: what a style may take control of, facet by facet.
//
// A hook (hooks_*.cpp) finds out whether its object has a meta-object. If not, the call goes
// straight to libc. If so, the hook reifies the call and hands it to the facet that the style in
// force has installed here. A facet that no style declares stays null and its hooks are taken
// out of the loaded modules again (rebind.h): it costs nothing.
//
// Every method behaves to the last errno as the libc function of the same name, unless its comment
// says otherwise; the default implementations *are* the libc functions. Methods may block exactly
// where libc may, are called on the application's threads, must not allocate, and keep errno on
// success. A method may be left by thread cancellation or pthread_exit: nothing here is noexcept.
//
// Source: the papers' MetaMutex, MetaSocket and MetaThreadInfo (004, slides 40 and 41).
#pragma once

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

#include <cstddef>
#include <cstdint>

#include "libmeta_os/unsupported_use.h"

namespace auxin::os {

// Where the base level made a call: the hook's return address.
struct CallSite {
  const void* address;
};

// When a waiting call gives up.
struct Deadline {
  enum class Kind : uint8_t {
    kNever,      // the plain form
    kTry,        // try… forms: at once
    kAbsolute,   // timed… and clock… forms: at `time` on `clock`
  };
  Kind kind = Kind::kNever;
  clockid_t clock = CLOCK_REALTIME;
  const timespec* time = nullptr;  // caller's, unchecked: the callee reports EINVAL as libc does
};

// Locks, conditions, semaphores, barriers and once controls that were classified as contention
// points (RequestContentionPoint). Return values as the pthread functions': 0 or an error number,
// except the sem_ functions, which return 0 or -1 with errno.
class SynchronisationFacet {
 public:
  virtual ~SynchronisationFacet() = default;

  virtual int mutex_lock(pthread_mutex_t* mutex, const Deadline& deadline, CallSite site);
  virtual int mutex_unlock(pthread_mutex_t* mutex, CallSite site);
  // The mutex is a contention point; the condition need not be.
  virtual int cond_wait(pthread_cond_t* cond, pthread_mutex_t* mutex, const Deadline& deadline,
                        CallSite site);
  virtual int cond_signal(pthread_cond_t* cond, bool broadcast, CallSite site);

  virtual int rwlock_lock(pthread_rwlock_t* lock, bool exclusive, const Deadline& deadline,
                          CallSite site);
  virtual int rwlock_unlock(pthread_rwlock_t* lock, CallSite site);
  virtual int rwlock_destroyed(pthread_rwlock_t* lock);

  virtual int sem_wait(sem_t* semaphore, const Deadline& deadline, CallSite site);
  virtual int sem_post(sem_t* semaphore, CallSite site);
  virtual int sem_getvalue(sem_t* semaphore, int* value, CallSite site);
  virtual int sem_destroyed(sem_t* semaphore);

  virtual int spin_init(pthread_spinlock_t* lock, int shared);  // every one, ordered later or not
  virtual int spin_destroy(pthread_spinlock_t* lock);
  virtual int spin_lock(pthread_spinlock_t* lock, bool try_only, CallSite site);
  virtual int spin_unlock(pthread_spinlock_t* lock, CallSite site);
  virtual int barrier_wait(pthread_barrier_t* barrier, CallSite site);
  virtual int once(pthread_once_t* control, void (*routine)(), CallSite site);
};

// Threads that the server starts (MetaThreadInfo).
class ThreadFacet {
 public:
  virtual ~ThreadFacet() = default;

  // Called in the creating thread before the new one exists. The pair (start, argument) may be
  // replaced; `cancel_creation` is called with the replaced argument where pthread_create failed.
  struct Start {
    void* (*routine)(void*);
    void* argument;
  };
  virtual Start creating(Start start, CallSite site) { (void)site; return start; }
  virtual void creation_failed(Start replaced) { (void)replaced; }
  // Timed or plain join, after the thread has really ended (result is the style's to keep).
  virtual int join(pthread_t thread, void** value, const Deadline& deadline, CallSite site);
};

// What one replicated descriptor does: the meta-object behind an application's file descriptor.
// All duplicates of a descriptor (dup, dup2, dup3, F_DUPFD) share one MetaSocket.
class MetaSocket {
 public:
  virtual ~MetaSocket() = default;

  // The recv family: `message` has at least one iovec; `flags` as recvmsg's. read and readv come
  // with no name, no control and flags 0.
  virtual ssize_t receive(int fd, msghdr* message, int flags, CallSite site) = 0;
  virtual ssize_t send(int fd, const msghdr* message, int flags, CallSite site) = 0;
  virtual int accept(int fd, sockaddr* address, socklen_t* length, int flags, CallSite site) = 0;
  virtual int shutdown(int fd, int how) = 0;
  // Called for every close of a descriptor of it; `last` = no duplicate is left in this process.
  virtual int close(int fd, bool last) = 0;
  // All commands but F_DUPFD and F_DUPFD_CLOEXEC, which are the hook's and the descriptor table's.
  virtual int fcntl(int fd, int command, long argument) = 0;
  virtual int ioctl(int fd, unsigned long request, void* argument) = 0;
  virtual int setsockopt(int fd, int level, int name, const void* value, socklen_t length) = 0;
  virtual int getsockopt(int fd, int level, int name, void* value, socklen_t* length) = 0;
  virtual int getpeername(int fd, sockaddr* address, socklen_t* length) = 0;
  virtual int getsockname(int fd, sockaddr* address, socklen_t* length) = 0;
  // The POLL… bits that hold now, of those in `events` (and HUP, ERR).
  virtual short readiness(short events) = 0;
};

// Descriptors before and beside their meta-objects.
class DescriptorFacet {
 public:
  virtual ~DescriptorFacet() = default;

  // For a socket without a MetaSocket. The style may make one (bind of a listener, connect).
  virtual int bind(int fd, const sockaddr* address, socklen_t length, CallSite site);
  virtual int listen(int fd, int backlog, CallSite site);
  virtual int connect(int fd, const sockaddr* address, socklen_t length, CallSite site);

  // Whether the calling thread's polls and selects are to go to poll(), if there is a descriptor
  // with a MetaSocket in the set.
  virtual bool takes_polls() const { return false; }
  // `timeout` null: for ever; relative time. `mask` as ppoll's, may be null. Result and errno as
  // ppoll's.
  virtual int poll(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask);

  // epoll on an epoll descriptor that has had a MetaSocket added to it.
  virtual int epoll_ctl(int epoll_fd, int operation, int fd, epoll_event* event);
  virtual int epoll_wait(int epoll_fd, epoll_event* events, int capacity, const timespec* timeout,
                         const sigset_t* mask);

  // Before a server binds a Unix-domain socket it removes what may be left under the name.
  virtual int unlink(const char* path, CallSite site);
  // And afterwards it sets who may connect to it.
  virtual int chmod(const char* path, mode_t mode, CallSite site);

  // write, writev and the like on descriptors 1 and 2, or on a file that is opened for writing.
  virtual ssize_t write_standard(int fd, const iovec* parts, int count);
};

// Values that differ from replica to replica: time, random numbers, identity, names. Each method
// is called only for call sites that the classification names as values, where its comment does not
// say otherwise.
class ValueFacet {
 public:
  virtual ~ValueFacet() = default;

  virtual int clock_gettime(clockid_t clock, timespec* time, CallSite site);
  virtual int gettimeofday(timeval* time, void* zone, CallSite site);
  virtual time_t time(time_t* time, CallSite site);
  virtual ssize_t getrandom(void* buffer, size_t size, unsigned flags, CallSite site);
  virtual long random(CallSite site);   // random()
  virtual int rand(CallSite site);      // rand()
  virtual unsigned random_device(CallSite site);  // std::random_device::_M_getval
  virtual pid_t getpid();
  // The process here that a pid means which getpid() has given.
  virtual pid_t target_of(pid_t pid) { return pid; }
  // Any other value that fits a word (getppid, gettid, drand48's bits, …): `value` is what libc has
  // just given; the result is what the caller gets.
  virtual uint64_t word(uint64_t value, CallSite site) { (void)site; return value; }
  // The processors on which a thread of this process may run: `cpus` (`size` bytes) holds what libc
  // has just given. A style that keeps the process to fewer than it was started with puts back what
  // it took. Asked whatever the call site.
  virtual void processors(size_t size, cpu_set_t* cpus) { (void)size, (void)cpus; }
  // Sleeps of the application: a replica that catches up does not sleep. Result as nanosleep's.
  virtual int clock_nanosleep(clockid_t clock, int flags, const timespec* request,
                              timespec* remaining, CallSite site);
  // The wait for one of the blocked signals in `set`; `timeout` null: for ever. `info` may be null.
  // Result as sigtimedwait's.
  virtual int wait_for_signal(const sigset_t* set, siginfo_t* info, const timespec* timeout,
                              CallSite site);
};

// Process-wide events that a style may need.
class ProcessFacet {
 public:
  virtual ~ProcessFacet() = default;

  // After a dlopen that loaded something.
  virtual void modules_changed() {}
  // exit, quick_exit or return from main, in the exiting thread, before handlers run.
  virtual void exiting(int status) { (void)status; }
  // In the child after fork: the child must not touch the group any more. Afterwards all facets but
  // this one are null and no descriptor has a MetaSocket.
  virtual void forked_child() {}
  // The server does something that no style orders or shares. `symbol` is valid during the call;
  // `site`: who did it, or for a signal's handler the handler itself. Called in hooks.
  virtual void unsupported(Unsupported use, const char* symbol, CallSite site) {
    (void)use, (void)symbol, (void)site;
  }
  // The environment that a program gets which exec or posix_spawn is about to start. May be called
  // in a vfork child, that is in the parent's memory: allocates nothing, changes nothing.
  virtual char* const* exec_environment(char* const* environment) { return environment; }
};

// The style's facets. Null: not in the footprint.
struct Facets {
  SynchronisationFacet* synchronisation = nullptr;
  ThreadFacet* threads = nullptr;
  DescriptorFacet* descriptors = nullptr;
  ValueFacet* values = nullptr;
  ProcessFacet* process = nullptr;
};

// How a hook asks whether a call matters. Answers are pure functions of the call site (and of the
// thread's markers) so that all replicas classify alike; the hooks remember them.
class Classification {
 public:
  virtual ~Classification() = default;

  struct Verdict {
    bool contention_point;     // order it
    uint16_t site_class;       // row of the counter table (counters.h): library and join point
    // The answer follows from the call site alone, not from markers, thread or stack: hooks may
    // remember it by address (for objects that have no room for a tag).
    bool by_site_alone = false;
  };
  // First lock (or init under a marker) of a synchronisation object. Called at the meta level.
  virtual Verdict synchronisation_object(CallSite site) = 0;
  // Is a value read at this site one that clients or state can see?
  virtual bool value(CallSite site) = 0;
  // The same for a clock.
  virtual bool clock(clockid_t, CallSite site) { return value(site); }
};

// Installed once, before the application's main runs or at the first ORB load, by the preload's
// entry (replication/preload.cpp). Reads are plain loads: null pointers mean pass-through.
extern Facets facets;
extern Classification* classification;

}  // namespace auxin::os
