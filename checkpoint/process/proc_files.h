// SPDX-License-Identifier: Apache-2.0
//
// What the saver reads below /proc/self: without memory, stdio or locks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "checkpoint/process/interrupted_call.h"

namespace auxin::checkpoint {

// The numbers in /proc/self/NAME/ (task, fd), in the kernel's order.
class NumberedEntries {
 public:
  NumberedEntries() = default;
  ~NumberedEntries();
  NumberedEntries(const NumberedEntries&) = delete;
  NumberedEntries& operator=(const NumberedEntries&) = delete;
  bool open(const char* directory);  // "/proc/self/task"
  int next();                        // -1: no more
  int descriptor() const { return fd_; }

 private:
  int fd_ = -1;
  long size_ = 0, at_ = 0;
  alignas(8) char buffer_[4096];
};

// Parts of a path, each with a zero put behind it. `number` >= 0. Returns where that zero stands.
char* append(char* to, const char* text);
char* append_number(char* to, int number);

// A whole small file. Returns the bytes read (a zero is put behind them), or -errno.
long read_small_file(const char* path, char* to, size_t size_bytes);

// Which system call the thread waits in, from /proc/self/task/TID/syscall.
CallBefore read_call_of_thread(int tid);

// The main thread ends by itself (pthread_exit) and stays as a zombie while others live.
bool main_thread_has_ended();

}  // namespace auxin::checkpoint
