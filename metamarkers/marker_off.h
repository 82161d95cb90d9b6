// SPDX-License-Identifier: Apache-2.0
//
// Takes the calling thread's marker at a frame off on every way out of a scope, unless disarmed:
// an action may be left by cancellation.
#pragma once

#include "metamarkers/marker_stack.h"

namespace auxin::markers {

class MarkerOff {
 public:
  explicit MarkerOff(uintptr_t frame) : frame_(frame) {}
  ~MarkerOff() {
    if (armed_) this_thread().pop(frame_);
  }
  MarkerOff(const MarkerOff&) = delete;
  MarkerOff& operator=(const MarkerOff&) = delete;
  void disarm() { armed_ = false; }

 private:
  uintptr_t frame_;
  bool armed_ = true;
};

}  // namespace auxin::markers
