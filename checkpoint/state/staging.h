// SPDX-License-Identifier: Apache-2.0
//
// Where pages are copied to in the pause: slots of a page each, taken one after the other. A page
// keeps its slot until a message has been made of it, so a later copy replaces an earlier one.
//
// Its memory is touched beforehand, outside the pause, for about as many pages as the last captures
// needed: a store to memory that is not there yet costs more than the copy. What the last two did
// not need is given back to the kernel.
//
// Thread safety: one thread at a time, or the one child that holds the image.
#pragma once

#include <cstdint>

#include "checkpoint/tracking/page_run.h"

namespace auxin::checkpoint {

// What stands for a page in the index of its region.
using Slot = uint32_t;
inline constexpr Slot kNoSlot = 0;              // nothing is staged of it
inline constexpr Slot kZeroSlot = UINT32_MAX;   // it is zeros

class Staging {
 public:
  Staging() = default;
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  ~Staging();

  // Room for `pages` pages. Only while nothing is staged may it shrink. `shared`: with children.
  // False: no memory.
  [[nodiscard]] bool make_room(uint64_t pages, bool shared);

  // The next `count` slots, which are adjacent. make_room() has made sure that they are there.
  Slot take(uint64_t count) {
    const uint64_t first = used_;
    used_ += count;
    return static_cast<Slot>(first + 1);
  }
  char* at(Slot slot) const { return memory_ + (uint64_t{slot} - 1) * kPageBytes; }
  uint64_t used() const { return used_; }
  void set_used(uint64_t used) { used_ = used; }
  // All slots are free again; memory for the next capture is made ready.
  void clear();
  // Touches the first `pages` pages.
  void make_ready(uint64_t pages);

 private:
  void give_back();

  char* memory_ = nullptr;
  uint64_t room_ = 0, used_ = 0, ready_ = 0, used_before_ = 0;
  bool shared_ = false, guarded_ = false;
};

}  // namespace auxin::checkpoint
