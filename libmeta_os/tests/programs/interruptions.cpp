// SPDX-License-Identifier: Apache-2.0
//
// What ends a blocking call from outside: cancellation, which must unwind the caller's frames
// through the hook, and signals, which must give EINTR.
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <threads.h>

#include <atomic>

#include "program.h"

using namespace programs;

namespace {

// Things that never come.
struct Silence {
  int ends[2];
  int pair[2];
  int listener;
  int epoll_fd;
  sem_t semaphore;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
  mtx_t c11_mutex;
  cnd_t c11_cond;
  sigset_t signals;
  timespec late = in_ms(CLOCK_REALTIME, 3'600'000);
  timespec late_monotonic = in_ms(CLOCK_MONOTONIC, 3'600'000);
  timespec hour{3600, 0};

  Silence() {
    pipe(ends);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    listen(listener, 1);
    epoll_fd = epoll_create1(0);
    sem_init(&semaphore, 0, 0);
    mtx_init(&c11_mutex, mtx_plain);
    cnd_init(&c11_cond);
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  }
};

Silence& silence() {
  static Silence the_silence;
  return the_silence;
}

struct Blocking {
  const char* name;
  long (*call)(Silence& it);
  bool interruptible;  // by a signal with a handler (EINTR)
};

char byte;
iovec part{&byte, 1};
msghdr message{nullptr, 0, &part, 1, nullptr, 0, 0};
mmsghdr messages[1];

void* sleep_on(void*) {
  sem_wait(&silence().semaphore);
  return nullptr;
}

const Blocking kBlocking[] = {
    {"pthread_cond_wait",
     [](Silence& it) {
       pthread_mutex_lock(&it.mutex);
       return long(pthread_cond_wait(&it.cond, &it.mutex));
     },
     false},
    {"pthread_cond_timedwait",
     [](Silence& it) {
       pthread_mutex_lock(&it.mutex);
       return long(pthread_cond_timedwait(&it.cond, &it.mutex, &it.late));
     },
     false},
    {"pthread_cond_clockwait",
     [](Silence& it) {
       pthread_mutex_lock(&it.mutex);
       return long(
           pthread_cond_clockwait(&it.cond, &it.mutex, CLOCK_MONOTONIC, &it.late_monotonic));
     },
     false},
    {"cnd_wait",
     [](Silence& it) {
       mtx_lock(&it.c11_mutex);
       return long(cnd_wait(&it.c11_cond, &it.c11_mutex));
     },
     false},
    {"cnd_timedwait",
     [](Silence& it) {
       mtx_lock(&it.c11_mutex);
       return long(cnd_timedwait(&it.c11_cond, &it.c11_mutex, &it.late));
     },
     false},
    {"sem_wait", [](Silence& it) { return long(sem_wait(&it.semaphore)); }, true},
    {"sem_timedwait", [](Silence& it) { return long(sem_timedwait(&it.semaphore, &it.late)); },
     true},
    {"sem_clockwait",
     [](Silence& it) {
       return long(sem_clockwait(&it.semaphore, CLOCK_MONOTONIC, &it.late_monotonic));
     },
     true},
    {"read", [](Silence& it) { return long(read(it.ends[0], &byte, 1)); }, true},
    {"readv", [](Silence& it) { return long(readv(it.ends[0], &part, 1)); }, true},
    {"recv", [](Silence& it) { return long(recv(it.pair[0], &byte, 1, 0)); }, true},
    {"recvfrom",
     [](Silence& it) { return long(recvfrom(it.pair[0], &byte, 1, 0, nullptr, nullptr)); }, true},
    {"recvmsg", [](Silence& it) { return long(recvmsg(it.pair[0], &message, 0)); }, true},
    {"recvmmsg",
     [](Silence& it) {
       messages[0].msg_hdr = message;
       return long(recvmmsg(it.pair[0], messages, 1, 0, nullptr));
     },
     true},
    {"accept", [](Silence& it) { return long(accept(it.listener, nullptr, nullptr)); }, true},
    {"accept4", [](Silence& it) { return long(accept4(it.listener, nullptr, nullptr, 0)); }, true},
    {"poll",
     [](Silence& it) {
       pollfd fd{it.listener, POLLIN, 0};
       return long(poll(&fd, 1, -1));
     },
     true},
    {"ppoll",
     [](Silence& it) {
       pollfd fd{it.listener, POLLIN, 0};
       return long(ppoll(&fd, 1, &it.hour, nullptr));
     },
     true},
    {"select",
     [](Silence& it) {
       fd_set set;
       FD_ZERO(&set);
       FD_SET(it.listener, &set);
       return long(select(it.listener + 1, &set, nullptr, nullptr, nullptr));
     },
     true},
    {"pselect",
     [](Silence& it) {
       fd_set set;
       FD_ZERO(&set);
       FD_SET(it.listener, &set);
       return long(pselect(it.listener + 1, &set, nullptr, nullptr, &it.hour, nullptr));
     },
     true},
    {"epoll_wait",
     [](Silence& it) {
       epoll_event e;
       return long(epoll_wait(it.epoll_fd, &e, 1, -1));
     },
     true},
    {"epoll_pwait",
     [](Silence& it) {
       epoll_event e;
       return long(epoll_pwait(it.epoll_fd, &e, 1, -1, nullptr));
     },
     true},
    {"epoll_pwait2",
     [](Silence& it) {
       epoll_event e;
       return long(epoll_pwait2(it.epoll_fd, &e, 1, &it.hour, nullptr));
     },
     true},
    {"nanosleep", [](Silence& it) { return long(nanosleep(&it.hour, nullptr)); }, true},
    {"clock_nanosleep",
     [](Silence& it) {
       const int error = clock_nanosleep(CLOCK_MONOTONIC, 0, &it.hour, nullptr);
       errno = error;
       return error == 0 ? 0L : -1L;
     },
     true},
    {"usleep", [](Silence&) { return long(usleep(3'600'000'000u)); }, true},
    {"sleep",
     [](Silence&) {
       const unsigned left = sleep(3600);
       errno = EINTR;
       return left > 3000 ? -1L : long(left);
     },
     true},
    {"thrd_sleep",
     [](Silence& it) {
       const int result = thrd_sleep(&it.hour, nullptr);
       errno = EINTR;
       return long(result);
     },
     true},
    {"sigwait",
     [](Silence& it) {
       int n;
       return long(sigwait(&it.signals, &n));
     },
     false},
    {"sigwaitinfo", [](Silence& it) { return long(sigwaitinfo(&it.signals, nullptr)); }, true},
    {"sigtimedwait", [](Silence& it) { return long(sigtimedwait(&it.signals, nullptr, &it.hour)); },
     true},
    {"sigsuspend", [](Silence& it) { return long(sigsuspend(&it.signals)); }, true},
    {"pause", [](Silence&) { return long(pause()); }, true},
    {"pthread_join",
     [](Silence&) {
       pthread_t other;
       pthread_create(&other, nullptr, sleep_on, nullptr);
       return long(pthread_join(other, nullptr));
     },
     false},
    {"pthread_clockjoin_np",
     [](Silence& it) {
       pthread_t other;
       pthread_create(&other, nullptr, sleep_on, nullptr);
       return long(pthread_clockjoin_np(other, nullptr, CLOCK_MONOTONIC, &it.late_monotonic));
     },
     false},
};

std::atomic<int> destructors{0};

struct Counted {
  ~Counted() { ++destructors; }
};

void* block(void* argument) {
  const Counted counted;
  static_cast<const Blocking*>(argument)->call(silence());
  return nullptr;
}

std::atomic<bool> interrupted{false};

void* send_signals(void* target) {
  // Again and again: one that comes before the call blocks is lost.
  while (!interrupted) {
    pthread_kill(*static_cast<pthread_t*>(target), SIGUSR1);
    usleep(500);
  }
  return nullptr;
}

}  // namespace

PROGRAM(cancellation_unwinds_each_blocking_call) {
  silence();
  for (const Blocking& each : kBlocking) {
    destructors = 0;
    pthread_t thread;
    pthread_create(&thread, nullptr, block, const_cast<Blocking*>(&each));
    usleep(2000);  // so that most are cancelled while they block; the result is the same otherwise
    pthread_cancel(thread);
    void* value = nullptr;
    pthread_join(thread, &value);
    printf("%s: %s, %d destructor\n", each.name,
           value == PTHREAD_CANCELED ? "cancelled" : "returned", destructors.load());
    // A cancelled wait holds its mutex again.
    if (strncmp(each.name, "pthread_cond", 12) == 0) silence().mutex = PTHREAD_MUTEX_INITIALIZER;
    if (strncmp(each.name, "cnd_", 4) == 0) mtx_init(&silence().c11_mutex, mtx_plain);
  }
}

PROGRAM(signals_interrupt_each_blocking_call) {
  silence();
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
  for (const Blocking& each : kBlocking) {
    if (!each.interruptible) continue;
    interrupted = false;
    pthread_t self = pthread_self();
    pthread_t sender;
    pthread_create(&sender, nullptr, send_signals, &self);
    const long result = each.call(silence());
    const int error = errno;
    interrupted = true;
    pthread_join(sender, nullptr);
    errno = error;
    say_errno(each.name, result);
  }
}
