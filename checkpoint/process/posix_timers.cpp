// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/posix_timers.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include <utility>

#include "checkpoint/process/proc_files.h"
#include "checkpoint/process/thread_stop.h"
#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {
namespace {

using os::raw_syscall;

constexpr int64_t kSecondNs = 1'000'000'000;

int64_t to_ns(const timespec& time) { return time.tv_sec * kSecondNs + time.tv_nsec; }
timespec to_timespec(int64_t ns) { return {ns / kSecondNs, ns % kSecondNs}; }

// As libc asks for CLOCK_PROCESS_CPUTIME_ID. Processor time begins anew in another process: what is
// left is what counts.
constexpr int32_t kProcessTime = -6;

// The number behind `name` in an entry of /proc/self/timers; false: there is none.
bool number_after(const char* entry, const char* name, int base, uint64_t* number, bool* negative) {
  const char* at = strstr(entry, name);
  if (at == nullptr) return false;
  at += strlen(name);
  while (*at == ' ') ++at;
  *negative = *at == '-';
  if (*negative) ++at;
  *number = 0;
  const char* begin = at;
  for (;; ++at) {
    const int digit = *at >= '0' && *at <= '9'   ? *at - '0'
                      : *at >= 'a' && *at <= 'f' ? *at - 'a' + 10
                                                 : 99;
    if (digit >= base) return at > begin;
    *number = *number * static_cast<uint64_t>(base) + static_cast<uint64_t>(digit);
  }
}

const ParkedThread* thread_of(int32_t tid, const ParkedThread& saver) {
  if (tid == saver.tid) return &saver;
  for (uint32_t i = 0; i < parked_thread_count(); ++i) {
    const ParkedThread& thread = parked_thread(i);
    if (thread.tid == tid && thread.state.load() == ParkedThread::kParked) return &thread;
  }
  return nullptr;
}

}  // namespace

const char* PosixTimers::read(const ParkedThread& saver) {
  count_ = 0;
  static char text[kMaxTimers * 160];
  const long size = read_small_file("/proc/self/timers", text, sizeof text);
  if (size < 0) return nullptr;  // a kernel that can't tell of them
  if (size == static_cast<long>(sizeof text) - 1) return "it has too many timers of timer_create";
  for (char* entry = strstr(text, "ID: "); entry != nullptr;) {
    char* next = strstr(entry + 1, "\nID: ");
    if (next != nullptr) *next++ = '\0';
    if (const char* problem = add(entry, saver)) return problem;
    entry = next;
  }
  return nullptr;
}

// ID: 0
// signal: 34/00007ffff7dd4700
// notify: signal/tid.4711
// ClockID: 1
const char* PosixTimers::add(const char* entry, const ParkedThread& saver) {
  static constexpr char kUnknown[] = "it has a timer of timer_create of an unknown kind";
  if (count_ == kMaxTimers) return "it has too many timers of timer_create";
  Timer& timer = timers_[count_];
  timer = Timer{};
  uint64_t number = 0, signal = 0, clock = 0, target = 0;
  bool negative = false;
  if (!number_after(entry, "ID:", 10, &number, &negative) || negative ||
      !number_after(entry, "signal:", 10, &signal, &negative) || negative ||
      !number_after(entry, "/", 16, &timer.value, &negative) ||
      !number_after(entry, "ClockID:", 10, &clock, &negative))
    return kUnknown;
  if (number > kHighestNumber) return "it has made too many timers";
  timer.number = static_cast<int32_t>(number);
  timer.signal = static_cast<int32_t>(signal);
  timer.clock = negative ? -static_cast<int32_t>(clock) : static_cast<int32_t>(clock);
  if (negative && timer.clock != kProcessTime)
    return "it has a timer on a thread's or another process's processor time";
  if (strstr(entry, "notify: none") != nullptr) {
    timer.notify = SIGEV_NONE;
  } else if (number_after(entry, "/tid.", 10, &target, &negative)) {
    timer.notify = SIGEV_THREAD_ID;
    timer.thread = thread_of(static_cast<int32_t>(target), saver);
    if (timer.thread == nullptr) return "it has a timer whose thread has ended";
  } else if (strstr(entry, "/pid.") != nullptr) {
    timer.notify = SIGEV_SIGNAL;
  } else {
    return kUnknown;
  }
  itimerspec left{};
  timespec now{};
  if (raw_syscall(SYS_timer_gettime, timer.number, reinterpret_cast<long>(&left)) != 0 ||
      raw_syscall(SYS_clock_gettime, timer.clock, reinterpret_cast<long>(&now)) != 0)
    return kUnknown;
  timer.interval_ns = to_ns(left.it_interval);
  timer.due_ns = to_ns(left.it_value);
  if (timer.due_ns != 0 && timer.clock != kProcessTime) timer.due_ns += to_ns(now);
  // The kernel tells the newest first; they are made in the order of their numbers.
  for (int i = count_++; i > 0 && timers_[i - 1].number > timers_[i].number; --i)
    std::swap(timers_[i - 1], timers_[i]);
  return nullptr;
}

bool PosixTimers::make_again() const {
  for (int i = 0; i < count_; ++i) {
    const Timer& timer = timers_[i];
    sigevent event{};
    event.sigev_notify = timer.notify;
    event.sigev_signo = timer.signal;
    event.sigev_value.sival_ptr = reinterpret_cast<void*>(timer.value);
    if (timer.thread != nullptr) event._sigev_un._tid = timer.thread->tid;
    int32_t made = -1;
    // The kernel counts up: the numbers of timers that were deleted are passed over.
    for (;;) {
      if (raw_syscall(SYS_timer_create, timer.clock, reinterpret_cast<long>(&event),
                      reinterpret_cast<long>(&made)) != 0 ||
          made > timer.number)
        return false;
      if (made == timer.number) break;
      raw_syscall(SYS_timer_delete, made);
    }
    if (timer.due_ns == 0) continue;
    const itimerspec times{to_timespec(timer.interval_ns), to_timespec(timer.due_ns)};
    if (raw_syscall(SYS_timer_settime, made, timer.clock == kProcessTime ? 0 : TIMER_ABSTIME,
                    reinterpret_cast<long>(&times), 0) != 0)
      return false;
  }
  return true;
}

}  // namespace auxin::checkpoint
