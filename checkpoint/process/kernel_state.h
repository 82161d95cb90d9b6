// SPDX-License-Identifier: Apache-2.0
//
// What the kernel keeps for a process beside memory, threads and descriptors: read at the stop,
// kept in the process's own memory, and put back by the restored process itself.
#pragma once

#include <cstdint>

#include "checkpoint/process/image_format.h"
#include "checkpoint/process/signal_action.h"

namespace auxin::checkpoint {

struct KernelState {
  KernelSignalAction actions[65];   // by signal number
  char directory[4096];             // current working directory; "": not known
  uint32_t file_mode_mask;
  uint64_t alarm_interval_us, alarm_left_us;  // ITIMER_REAL; 0: none
  uint64_t file_limit, file_limit_hard;       // RLIMIT_NOFILE
};

// Raw system calls only. While it reads, no other thread may run.
void read_kernel_state(KernelState* state);
void put_kernel_state_back(const KernelState& state);

// The kernel's idea of code, data, stack, arguments and environment, and where the heap begins.
// False: /proc/self/stat or auxv can't be read.
bool read_memory_map(ImageProcess* process);

}  // namespace auxin::checkpoint
