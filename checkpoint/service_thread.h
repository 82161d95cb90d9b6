// SPDX-License-Identifier: Apache-2.0
//
// A thread of the service within a program: the program's signals go to threads of its own.
#pragma once

#include <signal.h>

#include <thread>
#include <utility>

#include "checkpoint/log/event_log.h"

namespace auxin::checkpoint {

// What a thread that is started meanwhile keeps: all signals blocked but those that it can only
// cause itself.
class SignalsOfOthersBlocked {
 public:
  SignalsOfOthersBlocked() {
    sigset_t all;
    sigfillset(&all);
    for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) {
      sigdelset(&all, own);
    }
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsOfOthersBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsOfOthersBlocked(const SignalsOfOthersBlocked&) = delete;
  SignalsOfOthersBlocked& operator=(const SignalsOfOthersBlocked&) = delete;

 private:
  sigset_t before_;
};

// Throws std::system_error where no thread can be had.
template <typename Work>
std::thread service_thread(Work work) {
  const SignalsOfOthersBlocked blocked;
  return std::thread([work = std::move(work)]() mutable {
    const WithinService within;
    work();
  });
}

}  // namespace auxin::checkpoint
