// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "program.h"

using namespace programs;

namespace {

struct Turn {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
  int turn = 0;
};

void* take_odd_turns(void* argument) {
  auto* const it = static_cast<Turn*>(argument);
  pthread_mutex_lock(&it->mutex);
  for (int i = 1; i < 200; i += 2) {
    while (it->turn != i) pthread_cond_wait(&it->changed, &it->mutex);
    ++it->turn;
    pthread_cond_broadcast(&it->changed);
  }
  pthread_mutex_unlock(&it->mutex);
  return nullptr;
}

void* signal_once(void* argument) {
  auto* const it = static_cast<Turn*>(argument);
  pthread_mutex_lock(&it->mutex);
  it->turn = 1;
  say_error("signal", pthread_cond_signal(&it->changed));
  pthread_mutex_unlock(&it->mutex);
  return nullptr;
}

}  // namespace

PROGRAM(condition_turns) {
  Turn it;
  Thread other(take_odd_turns, &it);
  pthread_mutex_lock(&it.mutex);
  for (int i = 0; i < 200; i += 2) {
    while (it.turn != i) pthread_cond_wait(&it.changed, &it.mutex);
    ++it.turn;
    pthread_cond_broadcast(&it.changed);
  }
  pthread_mutex_unlock(&it.mutex);
  other.join();
  say("turns", it.turn);
}

PROGRAM(condition_timed_waits) {
  Turn it;
  pthread_mutex_lock(&it.mutex);
  timespec soon = in_ms(CLOCK_REALTIME, 10);
  say_error("timedwait", pthread_cond_timedwait(&it.changed, &it.mutex, &soon));
  soon = in_ms(CLOCK_MONOTONIC, 10);
  say_error("clockwait monotonic",
            pthread_cond_clockwait(&it.changed, &it.mutex, CLOCK_MONOTONIC, &soon));
  soon = in_ms(CLOCK_REALTIME, -10);
  say_error("clockwait past",
            pthread_cond_clockwait(&it.changed, &it.mutex, CLOCK_REALTIME, &soon));
  const timespec bad{0, 1'000'000'000};
  say_error("bad time", pthread_cond_timedwait(&it.changed, &it.mutex, &bad));
  say_error("bad clock",
            pthread_cond_clockwait(&it.changed, &it.mutex, CLOCK_PROCESS_CPUTIME_ID, &soon));
  say_error("still held", pthread_mutex_trylock(&it.mutex));
}

PROGRAM(condition_on_its_own_clock) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  Turn it;
  pthread_cond_init(&it.changed, &attributes);
  pthread_mutex_lock(&it.mutex);
  // On the wrong clock this would wait for years.
  const timespec soon = in_ms(CLOCK_MONOTONIC, 10);
  say_error("timedwait", pthread_cond_timedwait(&it.changed, &it.mutex, &soon));
  say_error("destroy", pthread_cond_destroy(&it.changed));
}

PROGRAM(condition_signalled_before_deadline) {
  Turn it;
  pthread_mutex_lock(&it.mutex);
  Thread other(signal_once, &it);
  const timespec late = in_ms(CLOCK_REALTIME, 60'000);
  int error = 0;
  while (it.turn == 0 && error == 0) {
    error = pthread_cond_timedwait(&it.changed, &it.mutex, &late);
  }
  pthread_mutex_unlock(&it.mutex);
  other.join();
  say_error("timedwait", error);
}

PROGRAM(condition_of_the_standard_library) {
  std::mutex mutex;
  std::condition_variable changed;
  std::unique_lock<std::mutex> lock(mutex);
  say("wait_for timed out",
      changed.wait_for(lock, std::chrono::milliseconds(5)) == std::cv_status::timeout);
  say("wait_until timed out",
      changed.wait_until(lock, std::chrono::system_clock::now()) == std::cv_status::timeout);
}
