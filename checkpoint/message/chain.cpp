// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/message/chain.h"

namespace auxin::checkpoint {

Outcome judge_sequence(const ChainPosition& have, const MessageHeader& message) {
  const std::string what = "message " + std::to_string(message.from_sequence) + " to " +
                           std::to_string(message.sequence);
  const std::string at = ", the receiver is at " + std::to_string(have.sequence);
  const bool is_base = (message.flags & kBase) != 0;
  if (have.sequence != 0 && message.state != have.state) {
    return failure(AUXIN_CHECKPOINT_FOREIGN, what + " is of another state");
  }
  if (message.sequence == have.sequence) {
    return failure(AUXIN_CHECKPOINT_DUPLICATE, what + " is there already");
  }
  if (message.sequence < have.sequence) {
    return failure(AUXIN_CHECKPOINT_STALE, what + " is stale" + at);
  }
  if (!is_base && message.from_sequence > have.sequence) {
    return failure(AUXIN_CHECKPOINT_GAP, what + " comes too early" + at);
  }
  return Outcome::ok();
}

}  // namespace auxin::checkpoint
