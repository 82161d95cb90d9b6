// SPDX-License-Identifier: Apache-2.0
//
// Messages through a descriptor: a pipe, a socket, a file. A message says how long it is, so they
// stand one behind the other.
#pragma once

#include <cstdint>

#include "checkpoint/message/byte_buffer.h"
#include "checkpoint/message/message_view.h"

namespace auxin::checkpoint {

// Blocks until all is written. A peer that is gone is kInputOutput, and no SIGPIPE for sockets.
// kNoSpace.
Outcome send_message(int fd, const MessageView& message);

// Blocks until one message has come, and examines its structure. kEmpty: the stream ended before
// it; kIncomplete: within it; kTooLarge, kMalformed, kVersion, kDamaged: the stream can't be read
// on. kInputOutput.
Expected<ByteBuffer> receive_message(int fd, uint64_t max_bytes);

}  // namespace auxin::checkpoint
