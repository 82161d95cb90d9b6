// SPDX-License-Identifier: Apache-2.0
//
// A process that was killed, while it ends: its threads are in no system call any more some tenths
// of a millisecond after the signal; its last thread then takes down all of its memory, many
// milliseconds for a hundred MiB. Only after that its pidfd can be read.
//
// Works without libc. Thread safety: none needed.
#pragma once

#include <cstdint>

namespace auxin::checkpoint {

class EndingProcess {
 public:
  // `pidfd` may be another descriptor: then nothing is known of any process.
  explicit EndingProcess(int pidfd);

  // Looks at all threads. True: each of them ends; none of them will touch a file, a socket or
  // shared memory again. False: not so, or it can't be seen.
  bool only_ends();

  // To be called after only_ends(). The calling thread, and those that it starts, keep off the
  // processors where that look saw threads end, if there are others: many a kernel neither takes a
  // processor from who ends for somebody just woken or started there, nor looks for another one.
  void keep_off_its_processors() const;

 private:
  static constexpr int kMostProcessors = 1024;
  int pid_ = 0;
  uint16_t threads_[kMostProcessors] = {};  // by the processor that they ran on last
};

}  // namespace auxin::checkpoint
