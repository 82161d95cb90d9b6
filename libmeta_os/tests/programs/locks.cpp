// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <semaphore.h>

#include <mutex>
#include <shared_mutex>

#include "program.h"

using namespace programs;

namespace {

void* try_all(void* argument) {
  auto* const lock = static_cast<pthread_rwlock_t*>(argument);
  say_error("other: tryrdlock", pthread_rwlock_tryrdlock(lock));
  say_error("other: trywrlock", pthread_rwlock_trywrlock(lock));
  timespec soon = in_ms(CLOCK_REALTIME, 5);
  say_error("other: timedrdlock", pthread_rwlock_timedrdlock(lock, &soon));
  say_error("other: timedwrlock", pthread_rwlock_timedwrlock(lock, &soon));
  soon = in_ms(CLOCK_MONOTONIC, 5);
  say_error("other: clockrdlock", pthread_rwlock_clockrdlock(lock, CLOCK_MONOTONIC, &soon));
  say_error("other: clockwrlock", pthread_rwlock_clockwrlock(lock, CLOCK_MONOTONIC, &soon));
  return nullptr;
}

void* serial(void* barrier) {
  const int result = pthread_barrier_wait(static_cast<pthread_barrier_t*>(barrier));
  return reinterpret_cast<void*>(result == PTHREAD_BARRIER_SERIAL_THREAD ? 1L
                                 : result == 0                           ? 0L
                                                                         : 9L);
}

struct Spinning {
  pthread_spinlock_t lock;
  long count = 0;
};

void* spin_up(void* argument) {
  auto* const it = static_cast<Spinning*>(argument);
  for (int i = 0; i < 5000; ++i) {
    if (pthread_spin_trylock(&it->lock) != 0) pthread_spin_lock(&it->lock);
    ++it->count;
    pthread_spin_unlock(&it->lock);
  }
  return nullptr;
}

int times_run = 0;
void run_once() { ++times_run; }
void throw_once() {
  ++times_run;
  if (times_run == 1) throw 1;
}

}  // namespace

PROGRAM(rwlock_forms) {
  pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
  say_error("rdlock", pthread_rwlock_rdlock(&lock));
  Thread(try_all, &lock).join();
  for (int i = 0; i < 4; ++i) say_error("unlock", pthread_rwlock_unlock(&lock));
  say_error("wrlock", pthread_rwlock_wrlock(&lock));
  say_error("rdlock own", pthread_rwlock_rdlock(&lock));
  say_error("wrlock own", pthread_rwlock_wrlock(&lock));
  Thread(try_all, &lock).join();
  say_error("unlock", pthread_rwlock_unlock(&lock));
  const timespec bad{0, -1};
  say_error("timedrdlock, bad time", pthread_rwlock_timedrdlock(&lock, &bad));
  say_error("destroy", pthread_rwlock_destroy(&lock));
}

PROGRAM(rwlock_of_the_standard_library) {
  std::shared_timed_mutex lock;
  lock.lock_shared();
  say("try_lock_shared", lock.try_lock_shared());
  say("try_lock", lock.try_lock());
  say("try_lock_for", lock.try_lock_for(std::chrono::milliseconds(2)));
  lock.unlock_shared();
  lock.unlock_shared();
  say("try_lock_until",
      lock.try_lock_until(std::chrono::system_clock::now() + std::chrono::milliseconds(2)));
  lock.unlock();
}

PROGRAM(semaphore_forms) {
  sem_t semaphore;
  say_errno("init", sem_init(&semaphore, 0, 2));
  say_errno("wait", sem_wait(&semaphore));
  say_errno("trywait", sem_trywait(&semaphore));
  say_errno("trywait at zero", sem_trywait(&semaphore));
  timespec soon = in_ms(CLOCK_REALTIME, 5);
  say_errno("timedwait", sem_timedwait(&semaphore, &soon));
  soon = in_ms(CLOCK_MONOTONIC, 5);
  say_errno("clockwait", sem_clockwait(&semaphore, CLOCK_MONOTONIC, &soon));
  const timespec bad{0, -1};
  say_errno("bad time", sem_timedwait(&semaphore, &bad));
  say_errno("post", sem_post(&semaphore));
  int value = -1;
  say_errno("getvalue", sem_getvalue(&semaphore, &value));
  say("value", value);
  say_errno("destroy", sem_destroy(&semaphore));
  say_errno("too large", sem_init(&semaphore, 0, 1u << 31));
}

PROGRAM(semaphore_named) {
  const std::string name = "/auxin-hook-program-" + std::to_string(getpid());
  sem_t* const semaphore = sem_open(name.c_str(), O_CREAT | O_EXCL, 0600, 1);
  sem_unlink(name.c_str());
  say("opened", semaphore != SEM_FAILED);
  say_errno("wait", sem_wait(semaphore));
  say_errno("trywait", sem_trywait(semaphore));
  say_errno("post", sem_post(semaphore));
  say_errno("close", sem_close(semaphore));
}

PROGRAM(spin_lock_excludes) {
  Spinning it;
  pthread_spin_init(&it.lock, PTHREAD_PROCESS_PRIVATE);
  Thread a(spin_up, &it), b(spin_up, &it);
  a.join();
  b.join();
  say("count", it.count);
  pthread_spin_lock(&it.lock);
  say_error("trylock held", pthread_spin_trylock(&it.lock));
  pthread_spin_unlock(&it.lock);
  say_error("destroy", pthread_spin_destroy(&it.lock));
  say_error("init", pthread_spin_init(&it.lock, PTHREAD_PROCESS_SHARED));
  say_error("free", pthread_spin_trylock(&it.lock));
}

PROGRAM(barrier_has_one_serial_thread) {
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, nullptr, 3);
  for (int round = 0; round < 3; ++round) {
    Thread a(serial, &barrier), b(serial, &barrier);
    const long mine = reinterpret_cast<long>(serial(&barrier));
    say("serial threads",
        mine + reinterpret_cast<long>(a.join()) + reinterpret_cast<long>(b.join()));
  }
}

PROGRAM(once_runs_once) {
  static pthread_once_t control = PTHREAD_ONCE_INIT;
  for (int i = 0; i < 3; ++i) say_error("once", pthread_once(&control, run_once));
  say("times", times_run);
}

PROGRAM(once_is_left_by_an_exception) {
  std::once_flag flag;
  for (int i = 0; i < 3; ++i) {
    try {
      std::call_once(flag, throw_once);
    } catch (int) {
      puts("thrown");
    }
  }
  say("times", times_run);
}
