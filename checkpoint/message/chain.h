// SPDX-License-Identifier: Apache-2.0
//
// Whether a message may follow what a receiver has: base, increment, increment, …
#pragma once

#include <cstdint>

#include "checkpoint/message/message_view.h"

namespace auxin::checkpoint {

// What a receiver has. sequence 0: nothing.
struct ChainPosition {
  uint64_t state = 0;
  uint64_t sequence = 0;
};

// kOk; kForeign, kStale, kDuplicate (the same sequence), kGap. A message that begins before the
// position and ends after it may follow: it holds everything that changed since its beginning.
Outcome judge_sequence(const ChainPosition& have, const MessageHeader& message);

}  // namespace auxin::checkpoint
