// SPDX-License-Identifier: Apache-2.0
//
// Two messages that follow one another, as one: applying it is applying both.
#pragma once

#include "checkpoint/message/byte_buffer.h"
#include "checkpoint/message/message_view.h"
#include "checkpoint/message/message_writer.h"

namespace auxin::checkpoint {

// From older.from_sequence to newer.sequence. It has content checksums if both have. Contents that
// are cut are checked before, so damage is not given a new checksum: kDamaged.
// kForeign, kGap (newer does not begin where older ends), kMalformed (newer speaks of a region
// that older removed), kNoMemory.
Expected<ByteBuffer> merge(const MessageView& older, const MessageView& newer);

}  // namespace auxin::checkpoint
