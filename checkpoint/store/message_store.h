// SPDX-License-Identifier: Apache-2.0
//
// Where messages are kept: the newest image can be had from it again, whoever died, whenever.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/message/byte_buffer.h"
#include "checkpoint/message/chain.h"
#include "checkpoint/message/image.h"
#include "checkpoint/message/message_view.h"
#include "checkpoint/outcome.h"

namespace auxin::checkpoint {

// What a store found when it was opened or read.
struct StoreReport {
  uint64_t base_sequence = 0, sequence = 0;  // of the newest image; 0: there is none
  uint64_t messages = 0;                     // base and increments that make it
  uint64_t bytes = 0;                        // of everything kept
  std::vector<std::string> damage;           // what could not be used, and why
  uint64_t state = 0;   // which one the image is of; 0: there is none, or the store can't say
  uint64_t digest = 0;  // of the message that was put last; 0: as above
};

class MessageStore {
 public:
  virtual ~MessageStore() = default;

  // Once it returns kOk, the message is kept. What judge_sequence says; kNoSpace, kInputOutput: the
  // image is what it was.
  virtual Outcome put(const MessageView& message) = 0;
  // The newest image. kEmpty; kDamaged if nothing can be used.
  virtual Outcome read(Image* image) = 0;
  // One base in place of base and increments; the image stays whatever happens. kEmpty.
  virtual Outcome compact() = 0;
  virtual StoreReport report() const = 0;
  // The message that brings a receiver with `have` on: repeated, to the newest image. kEmpty: there
  // is nothing newer. This one makes a base of everything.
  virtual Expected<ByteBuffer> message_after(const ChainPosition& have);
};

}  // namespace auxin::checkpoint
