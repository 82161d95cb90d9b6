// SPDX-License-Identifier: Apache-2.0
//
// Tells the process's own log what the service does for it: messages, signals, interactions with
// the system. The service keeps no log; without one that the process chose, telling is one load.
//
// Thread safety: any thread; in signal handlers too, if the log is.
#pragma once

#include <cstdint>

#include "auxin/checkpoint.h"
#include "checkpoint/message/message_view.h"
#include "checkpoint/outcome.h"

namespace auxin::checkpoint {

// As long as one lives, its thread works for the service, or for the log: what it calls of libc is
// no interaction of the process's own.
class WithinService {
 public:
  WithinService() { ++depth_; }
  ~WithinService() { --depth_; }
  WithinService(const WithinService&) = delete;
  WithinService& operator=(const WithinService&) = delete;
  static bool is_on() { return depth_ != 0; }

 private:
  static inline thread_local uint32_t depth_ = 0;
};

class EventLog {
 public:
  using Function = void (*)(void* context, const auxin_checkpoint_record* record);

  // One of them at a time. kWrongCall: there is one already.
  static Outcome tell_function(Function function, void* context);
  static Outcome tell_descriptor(int fd);
  // Waits for the threads that are telling something.
  static void stop();

  static bool is_on();
  static void tell(auxin_checkpoint_record record);
  // An error that was looked for, and found; `value`: an address, or 0.
  static void tell_detected(Status status, uint64_t value);
  static void tell_message(auxin_checkpoint_event event, const MessageView& message,
                           Status status = AUXIN_CHECKPOINT_OK);
};

}  // namespace auxin::checkpoint
