// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/restorer/free_processors.h"

#include <stdint.h>
#include <string.h>

#include "checkpoint/process/proc_files.h"
#include "checkpoint/process/restorer/freestanding.h"

namespace auxin::restorer {
namespace {

using os::raw_syscall;

constexpr int kMostProcessors = 1024;

char* append(char* to, const char* text) {
  const size_t length = strlen(text);
  memcpy(to, text, length + 1);
  return to + length;
}

char* append_number(char* to, int number) {
  char digits[24];
  return append(to, decimal(static_cast<uint64_t>(number), digits));
}

int number_at(const char* text) {
  int number = 0;
  for (; *text >= '0' && *text <= '9' && number < 100'000'000; ++text)
    number = number * 10 + (*text - '0');
  return number;
}

// The one that it ran on last; -1: it has ended. `stat`: proc_pid_stat(5).
int processor_of(const char* stat) {
  const char* at = strrchr(stat, ')');
  if (at == nullptr || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X') return -1;
  for (int field = 2; field < 39; ++at) {
    if (*at == '\0') return -1;
    if (*at == ' ') ++field;
  }
  return number_at(at);
}

// Counts living threads by processor. False: the process is gone.
bool count_threads(int pid, uint16_t (&threads)[kMostProcessors]) {
  char path[64];
  char* const behind = append(append_number(append(path, "/proc/"), pid), "/task");
  checkpoint::NumberedEntries tasks;
  if (!tasks.open(path)) return false;
  for (int tid; (tid = tasks.next()) >= 0;) {
    append(append_number(append(behind, "/"), tid), "/stat");
    char text[1024];
    if (checkpoint::read_small_file(path, text, sizeof text) <= 0) continue;
    const int processor = processor_of(text);
    if (processor >= 0 && processor < kMostProcessors) ++threads[processor];
  }
  return true;
}

}  // namespace

int process_of(int pidfd) {
  char path[64], text[1024];
  append_number(append(path, "/proc/self/fdinfo/"), pidfd);
  if (checkpoint::read_small_file(path, text, sizeof text) <= 0) return 0;
  for (const char* line = text; *line != '\0'; ++line) {
    if (strncmp(line, "Pid:\t", 5) == 0) return number_at(line + 5);
    while (*line != '\n')
      if (*++line == '\0') return 0;
  }
  return 0;
}

void keep_off_processors_of(int pid) {
  if (pid <= 0) return;
  static uint16_t threads[kMostProcessors];
  static uint64_t allowed[kMostProcessors / 64], best[kMostProcessors / 64];
  if (!count_threads(pid, threads) ||
      raw_syscall(SYS_sched_getaffinity, 0, sizeof allowed, reinterpret_cast<long>(allowed)) <= 0)
    return;
  const auto may_use = [](int at) { return (allowed[at / 64] >> at % 64 & 1) != 0; };
  uint16_t fewest = UINT16_MAX;
  for (int at = 0; at < kMostProcessors; ++at)
    if (may_use(at) && threads[at] < fewest) fewest = threads[at];
  for (int at = 0; at < kMostProcessors; ++at)
    if (may_use(at) && threads[at] == fewest) best[at / 64] |= uint64_t{1} << at % 64;
  raw_syscall(SYS_sched_setaffinity, 0, sizeof best, reinterpret_cast<long>(best));
}

}  // namespace auxin::restorer
