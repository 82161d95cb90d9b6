// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/thread_stop.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "checkpoint/process/proc_files.h"
#include "checkpoint/process/signal_action.h"
#include "checkpoint/process/thread_restart.h"
#include "libmeta_os/private_memory.h"
#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {
namespace {

using os::raw_syscall;

constexpr int kStopSignal = 33;  // SIGSETXID
constexpr uint64_t kLookNs = 1'000'000;
constexpr uint64_t kSecondNs = 1'000'000'000;

ParkedThread* threads = nullptr;  // [kMaxParkedThreads]
uint32_t thread_count = 0;
std::atomic<uint32_t> not_parked{0};   // asked, and neither parked nor given up
std::atomic<uint32_t> round_now{1};    // a parked thread waits until it changes
KernelSignalAction action_before;

uint64_t now_ns() {
  timespec now;
  raw_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, reinterpret_cast<long>(&now));
  return static_cast<uint64_t>(now.tv_sec) * kSecondNs + static_cast<uint64_t>(now.tv_nsec);
}

void wait_on(std::atomic<uint32_t>& word, uint32_t expected, uint64_t timeout_ns) {
  timespec timeout{0, static_cast<long>(timeout_ns)};
  raw_syscall(SYS_futex, reinterpret_cast<long>(&word), FUTEX_WAIT_PRIVATE, expected,
              timeout_ns != 0 ? reinterpret_cast<long>(&timeout) : 0);
}

void wake(std::atomic<uint32_t>& word, long count) {
  raw_syscall(SYS_futex, reinterpret_cast<long>(&word), FUTEX_WAKE_PRIVATE, count);
}

// --- on the stopped thread ---

void park(ParkedThread& self, ucontext_t& frame) {
  const uint32_t round = self.round;
  InterruptedCall call;
  call.examine(frame, self.before);
  self.in_call = call.in_call() ? 1 : 0;
  describe_own_thread(self);
  const SavedContext* volatile elsewhere = nullptr;
  volatile bool ends = false;
  if (auxin_save_context(&self.context) == 0) {
    self.state.store(ParkedThread::kParked, std::memory_order_release);
    if (not_parked.fetch_sub(1, std::memory_order_acq_rel) == 1) wake(not_parked, 1);
  } else {
    arrive_in_new_process(self);
    elsewhere = self.elsewhere;
    ends = self.ends_call != 0;
  }
  // The record may be used for the next stop already when this one is over.
  while (round_now.load(std::memory_order_acquire) == round) wait_on(round_now, round, 0);
  if (elsewhere != nullptr) {
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&frame.uc_sigmask), 0, 8);
    auxin_continue_context(elsewhere);
  }
  if (ends) call.end(frame);
  else call.go_on(frame);
}

// The signal carries the round and the record's number: one that comes late touches nothing.
void on_stop_signal(int signal, siginfo_t* info, void* context) {
  const auto value = reinterpret_cast<uint64_t>(info->si_value.sival_ptr);
  const auto round = static_cast<uint32_t>(value >> 32);
  const auto index = static_cast<uint32_t>(value);
  if (info->si_code != SI_QUEUE || index >= kMaxParkedThreads) {
    if (action_before.handler > 1)
      reinterpret_cast<void (*)(int, siginfo_t*, void*)>(action_before.handler)(signal, info,
                                                                                context);
    return;
  }
  ParkedThread& self = threads[index];
  uint32_t asked = ParkedThread::kAsked;
  if (self.round != round || !self.state.compare_exchange_strong(asked, ParkedThread::kParking))
    return;
  park(self, *static_cast<ucontext_t*>(context));
}

// --- in the saver ---

bool is_known(int32_t tid) {
  for (uint32_t i = 0; i < thread_count; ++i)
    if (threads[i].tid == tid) return true;
  return false;
}

// Notes all threads that are not known yet, and what they wait in.
bool note_new_threads(StopResult* result) {
  NumberedEntries tasks;
  if (!tasks.open("/proc/self/task")) {
    result->status = StopStatus::kNoProc;
    return false;
  }
  const auto own_pid = static_cast<int32_t>(raw_syscall(SYS_getpid));
  const auto own_tid = static_cast<int32_t>(raw_syscall(SYS_gettid));
  for (int tid; (tid = tasks.next()) > 0;) {
    if (tid == own_tid || is_known(tid)) continue;
    if (tid == own_pid && main_thread_has_ended()) continue;
    if (thread_count == kMaxParkedThreads) {
      result->status = StopStatus::kTooManyThreads;
      return false;
    }
    ParkedThread& record = threads[thread_count++];
    memset(static_cast<void*>(&record), 0, sizeof record);
    record.tid = tid;
    record.round = round_now.load(std::memory_order_relaxed);
    record.before = read_call_of_thread(tid);
  }
  return true;
}

// It does not park any more in this round, unless it has begun to.
bool give_up(ParkedThread& record) {
  uint32_t asked = ParkedThread::kAsked;
  if (!record.state.compare_exchange_strong(asked, ParkedThread::kGone)) return false;
  not_parked.fetch_sub(1, std::memory_order_acq_rel);
  return true;
}

// Sends the signal; a thread that has ended meanwhile stays kGone.
void ask(uint32_t index) {
  ParkedThread& record = threads[index];
  record.state.store(ParkedThread::kAsked, std::memory_order_relaxed);
  not_parked.fetch_add(1, std::memory_order_release);
  siginfo_t info{};
  info.si_signo = kStopSignal;
  info.si_code = SI_QUEUE;
  info.si_pid = static_cast<int>(raw_syscall(SYS_getpid));
  info.si_uid = static_cast<unsigned>(raw_syscall(SYS_getuid));
  info.si_value.sival_ptr = reinterpret_cast<void*>(uint64_t{record.round} << 32 | index);
  long result;
  while ((result = raw_syscall(SYS_rt_tgsigqueueinfo, info.si_pid, record.tid, kStopSignal,
                               reinterpret_cast<long>(&info))) == -EAGAIN)
    wait_on(round_now, record.round, kLookNs);  // the user's queue of signals is full
  if (result != 0) give_up(record);
}

bool has_ended(int32_t tid) {
  return raw_syscall(SYS_tgkill, raw_syscall(SYS_getpid), tid, 0) == -ESRCH;
}

bool await_all(uint64_t deadline_ns) {
  for (uint32_t left; (left = not_parked.load(std::memory_order_acquire)) != 0;) {
    wait_on(not_parked, left, kLookNs);
    if (not_parked.load(std::memory_order_acquire) == 0) break;
    for (uint32_t i = 0; i < thread_count; ++i)
      if (threads[i].state.load() == ParkedThread::kAsked && has_ended(threads[i].tid))
        give_up(threads[i]);
    if (now_ns() > deadline_ns) return false;
  }
  return true;
}

// Those that have begun to park are waited for: they write into their records.
void give_up_the_rest(StopResult* result) {
  result->status = StopStatus::kPatience;
  for (uint32_t i = 0; i < thread_count; ++i) {
    if (!give_up(threads[i])) continue;
    result->tid = threads[i].tid;
    result->call = read_call_of_thread(threads[i].tid).number;
  }
  for (uint32_t left; (left = not_parked.load(std::memory_order_acquire)) != 0;)
    wait_on(not_parked, left, kLookNs);
}

void install_handler() {
  const KernelSignalAction ours = handler_action(on_stop_signal);
  KernelSignalAction before;
  exchange_signal_action(kStopSignal, &ours, &before);
  if (before.handler != ours.handler) action_before = before;
}

}  // namespace

StopResult stop_threads(uint64_t patience_ns) {
  StopResult result;
  if (threads == nullptr)
    threads = static_cast<ParkedThread*>(
        os::map_private(kMaxParkedThreads * sizeof(ParkedThread)));
  if (threads == nullptr) {
    result.status = StopStatus::kNoMemory;
    return result;
  }
  install_handler();
  thread_count = 0;
  const uint64_t deadline_ns = now_ns() + patience_ns;
  // A thread that has not stopped yet may start another one: until no new one is found.
  for (uint32_t asked = 0;;) {
    if (!note_new_threads(&result)) break;
    if (result.begun_ns == 0) result.begun_ns = now_ns();
    if (asked == thread_count) break;
    while (asked < thread_count) ask(asked++);
    if (!await_all(deadline_ns)) {
      give_up_the_rest(&result);
      break;
    }
  }
  result.thread_count = thread_count;
  if (result.status != StopStatus::kStopped) resume_threads();
  return result;
}

void resume_threads() {
  round_now.fetch_add(1, std::memory_order_acq_rel);
  wake(round_now, 0x7fffffff);
}

uint32_t parked_thread_count() { return thread_count; }
ParkedThread& parked_thread(uint32_t index) { return threads[index]; }

}  // namespace auxin::checkpoint
