// SPDX-License-Identifier: Apache-2.0
//
// Timers of timer_create(2): read at the stop, and made again with the same numbers, which the
// program has stored.
//
// A timer on a clock that is not the process's own time goes on to its old deadline: what fell due
// while there was no process fires at once, and the number of overruns starts at zero.
//
// Raw system calls only; kept in the process's own memory.
#pragma once

#include <cstdint>

#include "checkpoint/process/parked_thread.h"

namespace auxin::checkpoint {

class PosixTimers {
 public:
  // With all threads parked; `saver`: the calling thread's own record. Null, or why they can't be
  // made again (a sentence's end).
  const char* read(const ParkedThread& saver);
  // In the restored process, when all threads are there. False: the kernel did not do it.
  bool make_again() const;

 private:
  struct Timer {
    int32_t number;
    int32_t clock;
    int32_t signal;
    int32_t notify;                 // SIGEV_SIGNAL, SIGEV_NONE or SIGEV_THREAD_ID
    uint64_t value;                 // that comes with the signal
    const ParkedThread* thread;     // for SIGEV_THREAD_ID
    int64_t interval_ns, due_ns;    // due: on its clock, or what is left; 0: not armed
  };

  static constexpr int kMaxTimers = 256;
  static constexpr int32_t kHighestNumber = 1 << 20;  // each number below it costs two system calls

  const char* add(const char* entry, const ParkedThread& saver);

  Timer timers_[kMaxTimers] = {};
  int count_ = 0;
};

}  // namespace auxin::checkpoint
