// SPDX-License-Identifier: Apache-2.0
//
// The middleware's own locks: a mutex, what holds it for a scope, and a condition.
#pragma once

#include <pthread.h>

namespace ferry {

class Lock {
 public:
  Lock() = default;
  ~Lock() { pthread_mutex_destroy(&mutex_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  void take() { pthread_mutex_lock(&mutex_); }
  void leave() { pthread_mutex_unlock(&mutex_); }

 private:
  friend class Signal;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

class Holding {
 public:
  explicit Holding(Lock& lock) : lock_(lock) { lock_.take(); }
  ~Holding() { lock_.leave(); }
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;

 private:
  Lock& lock_;
};

class Signal {
 public:
  Signal() = default;
  ~Signal() { pthread_cond_destroy(&condition_); }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  void await(Lock& lock) { pthread_cond_wait(&condition_, &lock.mutex_); }
  void give() { pthread_cond_signal(&condition_); }

 private:
  pthread_cond_t condition_ = PTHREAD_COND_INITIALIZER;
};

}  // namespace ferry
