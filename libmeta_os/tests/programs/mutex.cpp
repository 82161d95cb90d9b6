// SPDX-License-Identifier: Apache-2.0
#include <mutex>
#include <sys/mman.h>
#include <sys/wait.h>

#include "program.h"

using namespace programs;

namespace {

void make(pthread_mutex_t* mutex, int type, int protocol, int robust, int shared) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, type);
  pthread_mutexattr_setprotocol(&attributes, protocol);
  pthread_mutexattr_setrobust(&attributes, robust);
  pthread_mutexattr_setpshared(&attributes, shared);
  say_error("init", pthread_mutex_init(mutex, &attributes));
  pthread_mutexattr_destroy(&attributes);
}

void* try_from_another_thread(void* mutex) {
  auto* const it = static_cast<pthread_mutex_t*>(mutex);
  say_error("other: trylock", pthread_mutex_trylock(it));
  timespec soon = in_ms(CLOCK_REALTIME, 5);
  say_error("other: timedlock", pthread_mutex_timedlock(it, &soon));
  soon = in_ms(CLOCK_MONOTONIC, 5);
  say_error("other: clocklock", pthread_mutex_clocklock(it, CLOCK_MONOTONIC, &soon));
  return nullptr;
}

void exercise(pthread_mutex_t* mutex) {
  say_error("lock", pthread_mutex_lock(mutex));
  Thread(try_from_another_thread, mutex).join();
  say_error("trylock own", pthread_mutex_trylock(mutex));
  say_error("unlock", pthread_mutex_unlock(mutex));
  const timespec bad{0, -1};
  say_error("timedlock free, bad time", pthread_mutex_timedlock(mutex, &bad));
  say_error("unlock", pthread_mutex_unlock(mutex));
}

struct Counting {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  long count = 0;
};

void* count_up(void* argument) {
  auto* const counting = static_cast<Counting*>(argument);
  for (int i = 0; i < 20000; ++i) {
    pthread_mutex_lock(&counting->mutex);
    ++counting->count;
    pthread_mutex_unlock(&counting->mutex);
  }
  return nullptr;
}

void* lock_and_die(void* mutex) {
  pthread_mutex_lock(static_cast<pthread_mutex_t*>(mutex));
  return nullptr;
}

}  // namespace

PROGRAM(mutex_normal) {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  exercise(&mutex);
  say_error("destroy", pthread_mutex_destroy(&mutex));
}

PROGRAM(mutex_error_checking) {
  pthread_mutex_t mutex;
  make(&mutex, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED,
       PTHREAD_PROCESS_PRIVATE);
  say_error("unlock unheld", pthread_mutex_unlock(&mutex));
  pthread_mutex_lock(&mutex);
  say_error("lock twice", pthread_mutex_lock(&mutex));
  const timespec soon = in_ms(CLOCK_REALTIME, 5);
  say_error("timedlock twice", pthread_mutex_timedlock(&mutex, &soon));
  say_error("destroy held", pthread_mutex_destroy(&mutex));
  pthread_mutex_unlock(&mutex);
  say_error("destroy", pthread_mutex_destroy(&mutex));
  say_error("lock destroyed", pthread_mutex_lock(&mutex));
}

PROGRAM(mutex_recursive) {
  pthread_mutex_t mutex;
  make(&mutex, PTHREAD_MUTEX_RECURSIVE, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED,
       PTHREAD_PROCESS_PRIVATE);
  say_error("lock", pthread_mutex_lock(&mutex));
  say_error("lock again", pthread_mutex_lock(&mutex));
  say_error("trylock again", pthread_mutex_trylock(&mutex));
  Thread(try_from_another_thread, &mutex).join();
  for (int i = 0; i < 4; ++i) say_error("unlock", pthread_mutex_unlock(&mutex));
}

PROGRAM(mutex_adaptive) {
  pthread_mutex_t mutex;
  make(&mutex, PTHREAD_MUTEX_ADAPTIVE_NP, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED,
       PTHREAD_PROCESS_PRIVATE);
  exercise(&mutex);
}

PROGRAM(mutex_priority_inheritance) {
  pthread_mutex_t mutex;
  make(&mutex, PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED,
       PTHREAD_PROCESS_PRIVATE);
  pthread_mutex_lock(&mutex);
  Thread(try_from_another_thread, &mutex).join();
  say_error("unlock", pthread_mutex_unlock(&mutex));
  say_error("destroy", pthread_mutex_destroy(&mutex));
}

PROGRAM(mutex_robust_owner_dies) {
  pthread_mutex_t mutex;
  make(&mutex, PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST,
       PTHREAD_PROCESS_PRIVATE);
  Thread(lock_and_die, &mutex).join();
  say_error("lock", pthread_mutex_lock(&mutex));
  say_error("consistent", pthread_mutex_consistent(&mutex));
  say_error("unlock", pthread_mutex_unlock(&mutex));
  Thread(lock_and_die, &mutex).join();
  say_error("trylock", pthread_mutex_trylock(&mutex));
  say_error("unlock", pthread_mutex_unlock(&mutex));
  say_error("lock", pthread_mutex_lock(&mutex));
}

PROGRAM(mutex_shared_between_processes) {
  auto* const mutex = static_cast<pthread_mutex_t*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  make(mutex, PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST,
       PTHREAD_PROCESS_SHARED);
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    pthread_mutex_lock(mutex);
    _exit(7);
  }
  int status = 0;
  waitpid(child, &status, 0);
  say("child's status", WEXITSTATUS(status));
  say_error("lock", pthread_mutex_lock(mutex));
  say_error("unlock", pthread_mutex_unlock(mutex));
}

PROGRAM(mutex_excludes) {
  Counting counting;
  Thread threads[] = {{count_up, &counting}, {count_up, &counting}, {count_up, &counting}};
  for (Thread& each : threads) each.join();
  say("count", counting.count);
}

PROGRAM(mutex_reused_memory_starts_anew) {
  alignas(16) char memory[sizeof(std::timed_mutex)];
  for (int i = 0; i < 3; ++i) {
    auto* const mutex = new (memory) std::timed_mutex;
    say("try_lock", mutex->try_lock());
    mutex->unlock();
    say("try_lock_for", mutex->try_lock_for(std::chrono::milliseconds(1)));
    mutex->unlock();
    mutex->~timed_mutex();
  }
}

// What a lock leaves in the mutex itself: nothing plain, a tag preloaded (preload_test.cpp reads
// it).
PROGRAM(show_tag) {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&mutex);
  pthread_mutex_unlock(&mutex);
  unsigned long words[5];
  memcpy(words, &mutex, sizeof(mutex));
  printf("tag %lx\n", words[3]);
  pthread_mutex_init(&mutex, nullptr);
  memcpy(words, &mutex, sizeof(mutex));
  printf("after init %lx\n", words[3]);
}

// 1000 lock and unlock pairs, then waits for its input to end, so that its counters can be read.
PROGRAM(lock_and_wait) {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  for (int i = 0; i < 1000; ++i) {
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
  }
  puts("ready");
  fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
}
