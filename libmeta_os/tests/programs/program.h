// SPDX-License-Identifier: Apache-2.0
//
// The small programs that are run plain and preloaded (preload_test.cpp): one per behaviour, all in
// one executable, `hook_programs NAME`. A program prints what its calls returned; whatever differs
// from run to run by nature (numbers of processes, times, addresses) it prints as a comparison.
#pragma once

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <string>

namespace programs {

struct Program {
  const char* name;
  void (*run)();
  Program* next;
  Program(const char* name, void (*run)());
};

#define PROGRAM(name)                                         \
  static void name();                                         \
  static ::programs::Program registered_##name{#name, &name}; \
  static void name()

// Prints "what: value" for a result that must be the same in every run.
void say(const char* what, long value);
// The same, with errno's name if value is -1.
void say_errno(const char* what, long value);
// The name of a pthread function's error.
void say_error(const char* what, int error);

// A thread that runs a function without capturing std::thread's own machinery.
class Thread {
 public:
  Thread(void* (*routine)(void*), void* argument) {
    pthread_create(&id_, nullptr, routine, argument);
  }
  void* join() {
    void* value = nullptr;
    pthread_join(id_, &value);
    return value;
  }
  pthread_t id() const { return id_; }

 private:
  pthread_t id_{};
};

// `milliseconds` from now on `clock`; negative: in the past.
timespec in_ms(clockid_t clock, long milliseconds);

}  // namespace programs
