// SPDX-License-Identifier: Apache-2.0
//
// Waiting for something to happen to a port, by a word in the board that every transaction raises
// which has sent to it or received from it, after its end (Activation::signal_at_end). A thread
// that dies between its commit and the word leaves the others asleep, so nobody sleeps for long.
#pragma once

#include "stmemu/memory/physical_memory.h"

namespace auxin::stm {

// Which of the board's signals belongs to the object at `address`.
uint32_t signal_of(uint64_t address);

class SignalWaiter {
 public:
  SignalWaiter(PhysicalMemory& memory, uint32_t signal);
  ~SignalWaiter();
  SignalWaiter(const SignalWaiter&) = delete;
  SignalWaiter& operator=(const SignalWaiter&) = delete;

  // Between look() and sleep() the caller sees for itself whether it must wait.
  void look();
  void sleep(uint64_t timeout_us);

 private:
  Signal& signal_;
  uint32_t seen_ = 0;
};

uint64_t monotonic_us();

}  // namespace auxin::stm
