// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/log/event_log.h"

#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

namespace auxin::checkpoint {
namespace {

static_assert(sizeof(auxin_checkpoint_record) == 64, "one write to a pipe, never divided");

// Constant while `on` is set.
struct Target {
  EventLog::Function function = nullptr;
  void* context = nullptr;
  int fd = -1;
};

std::mutex changes;
Target target;
std::atomic<bool> on{false};
std::atomic<uint32_t> tellers{0};  // that may look at the target
std::atomic<uint64_t> number{0};

Outcome begin(const Target& chosen) {
  const std::lock_guard lock(changes);
  if (on) return failure(AUXIN_CHECKPOINT_WRONG_CALL, "the process has a log already");
  target = chosen;
  number = 0;
  on = true;
  return Outcome::ok();
}

uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

Outcome EventLog::tell_function(Function function, void* context) {
  if (function == nullptr) return failure(AUXIN_CHECKPOINT_WRONG_CALL, "a log needs a function");
  return begin({function, context, -1});
}

Outcome EventLog::tell_descriptor(int fd) {
  if (fd < 0) return failure(AUXIN_CHECKPOINT_WRONG_CALL, "a log needs a descriptor");
  return begin({nullptr, nullptr, fd});
}

void EventLog::stop() {
  const std::lock_guard lock(changes);
  on = false;
  while (tellers != 0) poll(nullptr, 0, 1);
}

bool EventLog::is_on() { return on.load(std::memory_order_relaxed); }

void EventLog::tell(auxin_checkpoint_record record) {
  if (!is_on()) return;
  const WithinService within;
  const int error = errno;  // the caller's, also in a handler
  ++tellers;
  if (on) {
    record.size_bytes = sizeof(record);
    record.number = number.fetch_add(1) + 1;
    record.time_ns = now_ns();
    record.thread = static_cast<uint32_t>(syscall(SYS_gettid));
    if (target.function != nullptr) {
      target.function(target.context, &record);
    } else {
      // One that a full pipe does not take is lost, and its number is missing.
      static_cast<void>(syscall(SYS_write, target.fd, &record, sizeof(record)));
    }
  }
  --tellers;
  errno = error;
}

void EventLog::tell_detected(Status status, uint64_t value) {
  auxin_checkpoint_record record{};
  record.event = AUXIN_CHECKPOINT_EVENT_DETECTED;
  record.status = static_cast<uint16_t>(status);
  record.value = value;
  tell(record);
}

void EventLog::tell_message(auxin_checkpoint_event event, const MessageView& message,
                            Status status) {
  if (!is_on()) return;
  auxin_checkpoint_record record{};
  record.event = static_cast<uint16_t>(event);
  record.status = static_cast<uint16_t>(status);
  record.state = message.header().state;
  record.sequence = message.header().sequence;
  record.value = message.digest();
  record.bytes = message.bytes().size();
  tell(record);
}

}  // namespace auxin::checkpoint
