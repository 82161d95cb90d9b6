// SPDX-License-Identifier: Apache-2.0
#include "stmemu/node/processor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace auxin::stm {

uint64_t start_time_ticks(uint32_t process) {
  char path[32];
  snprintf(path, sizeof(path), "/proc/%u/stat", process);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[1024];
  const ssize_t size = read(file, text, sizeof(text) - 1);
  close(file);
  if (size <= 0) return 0;
  text[size] = '\0';
  // The second field is the program's name in parentheses, with anything in it; the third a letter.
  const char* at = strrchr(text, ')');
  if (at == nullptr || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X') return 0;
  for (int field = 2; field < 22; ++field) {
    at = strchr(at + 1, ' ');
    if (at == nullptr) return 0;
  }
  return strtoull(at + 1, nullptr, 10);
}

bool kill_process(uint32_t process, uint64_t started_ticks) {
  if (process == 0 || started_ticks == 0) return false;
  // The descriptor first: what it means does not change any more when the time is compared.
  const int descriptor = static_cast<int>(syscall(SYS_pidfd_open, process, 0));
  if (descriptor < 0) return false;
  const bool sent = start_time_ticks(process) == started_ticks &&
                    syscall(SYS_pidfd_send_signal, descriptor, SIGKILL, nullptr, 0) == 0;
  close(descriptor);
  return sent;
}

}  // namespace auxin::stm
