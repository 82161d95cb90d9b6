// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/kernel_state.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "checkpoint/process/proc_files.h"
#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {

using os::raw_syscall;

void read_kernel_state(KernelState* state) {
  for (int signal = 1; signal <= 64; ++signal)
    exchange_signal_action(signal, nullptr, &state->actions[signal]);
  const long length = raw_syscall(SYS_getcwd, reinterpret_cast<long>(state->directory),
                                  sizeof state->directory);
  if (length <= 0) state->directory[0] = '\0';
  // The mask can only be read by changing it: nobody else runs. (/proc tells it too, but takes
  // longer than all the rest of this.)
  state->file_mode_mask = static_cast<uint32_t>(raw_syscall(SYS_umask, 0777));
  raw_syscall(SYS_umask, state->file_mode_mask);
  itimerval alarm{};
  raw_syscall(SYS_getitimer, ITIMER_REAL, reinterpret_cast<long>(&alarm));
  state->alarm_interval_us = static_cast<uint64_t>(alarm.it_interval.tv_sec) * 1'000'000 +
                             static_cast<uint64_t>(alarm.it_interval.tv_usec);
  state->alarm_left_us = static_cast<uint64_t>(alarm.it_value.tv_sec) * 1'000'000 +
                         static_cast<uint64_t>(alarm.it_value.tv_usec);
  rlimit limit{};
  raw_syscall(SYS_getrlimit, RLIMIT_NOFILE, reinterpret_cast<long>(&limit));
  state->file_limit = limit.rlim_cur;
  state->file_limit_hard = limit.rlim_max;
}

void put_kernel_state_back(const KernelState& state) {
  for (int signal = 1; signal <= 64; ++signal)
    exchange_signal_action(signal, &state.actions[signal], nullptr);
  if (state.directory[0] != '\0')
    raw_syscall(SYS_chdir, reinterpret_cast<long>(state.directory));
  raw_syscall(SYS_umask, state.file_mode_mask);
  if (state.alarm_left_us != 0) {
    const itimerval alarm{{static_cast<time_t>(state.alarm_interval_us / 1'000'000),
                           static_cast<suseconds_t>(state.alarm_interval_us % 1'000'000)},
                          {static_cast<time_t>(state.alarm_left_us / 1'000'000),
                           static_cast<suseconds_t>(state.alarm_left_us % 1'000'000)}};
    raw_syscall(SYS_setitimer, ITIMER_REAL, reinterpret_cast<long>(&alarm), 0);
  }
  const rlimit limit{state.file_limit, state.file_limit_hard};
  raw_syscall(SYS_setrlimit, RLIMIT_NOFILE, reinterpret_cast<long>(&limit));
}

bool read_memory_map(ImageProcess* process) {
  char text[2048];
  if (read_small_file("/proc/self/stat", text, sizeof text) <= 0) return false;
  const char* at = strrchr(text, ')');
  if (at == nullptr) return false;
  uint64_t fields[53] = {};
  for (int field = 3; field <= 52 && *at != '\0'; ++field) {
    at = strchr(at + 1, ' ');
    if (at == nullptr) break;
    for (const char* digit = at + 1; *digit >= '0' && *digit <= '9'; ++digit)
      fields[field] = fields[field] * 10 + static_cast<uint64_t>(*digit - '0');
  }
  process->start_code = fields[26];
  process->end_code = fields[27];
  process->start_stack = fields[28];
  process->start_data = fields[45];
  process->end_data = fields[46];
  process->start_brk = fields[47];
  process->arg_start = fields[48];
  process->arg_end = fields[49];
  process->env_start = fields[50];
  process->env_end = fields[51];
  char auxv[sizeof process->auxv + 1];
  const long size = read_small_file("/proc/self/auxv", auxv, sizeof auxv);
  if (size <= 0) return false;
  memcpy(process->auxv, auxv, static_cast<size_t>(size));
  process->auxv_size_bytes = static_cast<uint64_t>(size);
  return fields[51] != 0;
}

}  // namespace auxin::checkpoint
