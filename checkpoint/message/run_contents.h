// SPDX-License-Identifier: Apache-2.0
//
// What a run's contents are, from what is stored of them.
#pragma once

#include <cstdint>

#include "checkpoint/message/message_format.h"

namespace auxin::checkpoint {

// Writes run.length bytes to `to`. False: they can't be unpacked; `to` may have been written to.
bool unpack(const RunRecord& run, const uint8_t* stored, uint8_t* to);

// Whether the contents unpack, and have the checksum of the record. `scratch`: kMaxRunBytes.
bool contents_are_good(const RunRecord& run, const uint8_t* stored, bool with_checksum,
                       uint8_t* scratch);

// Packs `length` bytes (at most kMaxRunBytes) into less. Returns the bytes written to `to`, which
// has room for `length`; 0: they don't become less.
uint32_t pack_lz4(const uint8_t* contents, uint32_t length, uint8_t* to);

}  // namespace auxin::checkpoint
