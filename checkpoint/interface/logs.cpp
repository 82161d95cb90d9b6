// SPDX-License-Identifier: Apache-2.0
//
// The log of the public header: which one, and what the process itself reports to it.
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "checkpoint/interface/call.h"
#include "checkpoint/log/event_log.h"

using namespace auxin::checkpoint;

namespace {

// What a signal did before it was reported. Written before the handler is installed.
struct sigaction earlier[NSIG];
std::atomic<bool> reported[NSIG];

void report_signal(int number, siginfo_t* information, void* context) {
  auxin_checkpoint_record record{};
  record.event = AUXIN_CHECKPOINT_EVENT_SIGNAL;
  record.code = number;
  record.value = static_cast<uint64_t>(information->si_pid);
  record.bytes = static_cast<uint64_t>(static_cast<int64_t>(information->si_code));
  EventLog::tell(record);
  const struct sigaction& before = earlier[number];
  if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(number, information, context);
  } else if (before.sa_handler == SIG_DFL) {
    // As if nobody had looked: the default comes when this handler returns.
    sigaction(number, &before, nullptr);
    reported[number] = false;
    raise(number);
  } else if (before.sa_handler != SIG_IGN) {
    before.sa_handler(number);
  }
}

}  // namespace

extern "C" {

enum auxin_checkpoint_status auxin_checkpoint_log_to(
    void (*log)(void* context, const struct auxin_checkpoint_record* record), void* context) {
  return call([&] { return EventLog::tell_function(log, context); });
}

enum auxin_checkpoint_status auxin_checkpoint_log_to_descriptor(int fd) {
  return call([&] { return EventLog::tell_descriptor(fd); });
}

void auxin_checkpoint_log_stop(void) { EventLog::stop(); }

enum auxin_checkpoint_status auxin_checkpoint_log_signal(int number) {
  return call([&]() -> Outcome {
    if (number <= 0 || number >= NSIG || number == SIGKILL || number == SIGSTOP) {
      return wrong_call("no handler can be had for this signal");
    }
    if (reported[number].exchange(true)) return Outcome::ok();
    struct sigaction before;
    if (sigaction(number, nullptr, &before) != 0) {
      reported[number] = false;
      return wrong_call("no handler can be had for this signal");
    }
    earlier[number] = before;
    struct sigaction action = before;
    action.sa_sigaction = report_signal;
    action.sa_flags = (before.sa_flags & ~SA_RESETHAND) | SA_SIGINFO;
    if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN) {
      action.sa_flags |= SA_RESTART;
    }
    sigaction(number, &action, nullptr);
    return Outcome::ok();
  });
}

long auxin_checkpoint_system_call(long number, long a, long b, long c, long d, long e, long f) {
  const long result = syscall(number, a, b, c, d, e, f);
  const int error = errno;
  auxin_checkpoint_record record{};
  record.event = AUXIN_CHECKPOINT_EVENT_SYSTEM_CALL;
  record.code = static_cast<int32_t>(number);
  record.value = static_cast<uint64_t>(result >= 0 ? result : -static_cast<long>(error));
  record.bytes = static_cast<uint64_t>(a);
  EventLog::tell(record);
  errno = error;
  return result;
}

void auxin_checkpoint_log_note(int code, uint64_t value) {
  auxin_checkpoint_record record{};
  record.event = AUXIN_CHECKPOINT_EVENT_NOTE;
  record.code = code;
  record.value = value;
  EventLog::tell(record);
}

}  // extern "C"
