// SPDX-License-Identifier: Apache-2.0
//
// What was sent to one process, by the sender, until a checkpoint of the receiver covers its
// receipt: a receiver that died gets it again from here. Plain memory of a fixed size, a part of
// what a checkpoint holds.
#pragma once

#include "application.h"

namespace manetho {

class MessageLog {
 public:
  struct Entry {
    uint64_t interval;  // of the sender, in which it was sent
    Token token;
  };
  // The number of the last message; they have the numbers 1, 2, …
  uint64_t last() const { return last_; }
  uint64_t add(const Entry& entry) {
    demand(last_ < forgotten_ + kRoom, "the log of messages has no room");
    entries_[++last_ % kRoom] = entry;
    return last_;
  }
  // Not if the receiver's checkpoint covers it; a sender that recovers makes such ones again.
  bool is_needed(uint64_t number) const { return number > forgotten_; }
  const Entry& entry(uint64_t number) const {
    demand(is_needed(number) && number <= last_, "a message that is not in the log");
    return entries_[number % kRoom];
  }
  void forget(uint64_t number) {
    if (number > forgotten_) forgotten_ = number;
  }

 private:
  static constexpr uint64_t kRoom = 512;

  uint64_t last_, forgotten_;
  Entry entries_[kRoom];
};

}  // namespace manetho
