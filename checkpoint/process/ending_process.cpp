// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/ending_process.h"

#include <string.h>

#include "checkpoint/process/proc_files.h"
#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {
namespace {

using os::raw_syscall;

constexpr int64_t kExiting = 4;  // PF_EXITING, among a thread's flags

int64_t number_at(const char* text) {
  int64_t number = 0;
  for (; *text >= '0' && *text <= '9' && number < 1'000'000'000'000; ++text)
    number = number * 10 + (*text - '0');
  return number;
}

struct ThreadStat {
  bool ended = false;
  bool ends = false;
  int64_t processor = 0;
};

// `text`: a line as proc_pid_stat(5) has it.
bool parse(const char* text, ThreadStat* stat) {
  const char* at = strrchr(text, ')');
  if (at == nullptr || at[1] != ' ') return false;
  stat->ended = at[2] == 'Z' || at[2] == 'X';
  for (int field = 2; field < 39; ++at) {
    if (*at == '\0') return false;
    if (*at != ' ') continue;
    ++field;
    if (field == 9) stat->ends = (number_at(at + 1) & kExiting) != 0;
    if (field == 39) stat->processor = number_at(at + 1);
  }
  return true;
}

}  // namespace

EndingProcess::EndingProcess(int pidfd) {
  char path[64], text[1024];
  append_number(append(path, "/proc/self/fdinfo/"), pidfd);
  if (read_small_file(path, text, sizeof text) <= 0) return;
  for (const char* line = text; *line != '\0';) {
    if (strncmp(line, "Pid:\t", 5) == 0) pid_ = static_cast<int>(number_at(line + 5));
    while (*line != '\0' && *line++ != '\n') {}
  }
}

bool EndingProcess::only_ends() {
  memset(threads_, 0, sizeof threads_);
  if (pid_ <= 0) return false;
  char path[64];
  char* const behind = append(append_number(append(path, "/proc/"), pid_), "/task");
  NumberedEntries tasks;
  if (!tasks.open(path)) return false;
  bool any = false;
  for (int tid; (tid = tasks.next()) >= 0; any = true) {
    append(append_number(append(behind, "/"), tid), "/stat");
    char text[1024];
    if (read_small_file(path, text, sizeof text) <= 0) continue;  // it is gone meanwhile
    ThreadStat thread;
    if (!parse(text, &thread) || !(thread.ended || thread.ends)) return false;
    if (!thread.ended && thread.processor < kMostProcessors) ++threads_[thread.processor];
  }
  return any;
}

void EndingProcess::keep_off_its_processors() const {
  uint64_t allowed[kMostProcessors / 64] = {}, best[kMostProcessors / 64] = {};
  if (raw_syscall(SYS_sched_getaffinity, 0, sizeof allowed, reinterpret_cast<long>(allowed)) <= 0)
    return;
  const auto may_use = [&](int at) { return (allowed[at / 64] >> at % 64 & 1) != 0; };
  uint16_t fewest = UINT16_MAX;
  for (int at = 0; at < kMostProcessors; ++at)
    if (may_use(at) && threads_[at] < fewest) fewest = threads_[at];
  for (int at = 0; at < kMostProcessors; ++at)
    if (may_use(at) && threads_[at] == fewest) best[at / 64] |= uint64_t{1} << at % 64;
  raw_syscall(SYS_sched_setaffinity, 0, sizeof best, reinterpret_cast<long>(best));
}

}  // namespace auxin::checkpoint
