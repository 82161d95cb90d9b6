// SPDX-License-Identifier: Apache-2.0
//
// A segment: one message in a file of its own, and behind it the record that commits it
// (checkpoint/FORMAT.md).
#pragma once

#include <cstddef>
#include <cstdint>

namespace auxin::checkpoint {

inline constexpr char kMessageCommitMagic[8] = {'A', 'U', 'X', 'I', 'N', 'I', 'M', 'C'};
inline constexpr uint32_t kMessageCommitVersion = 1;

struct MessageCommit {
  char magic[8];
  uint32_t version;
  uint32_t zero;
  uint64_t message_bytes;   // before this record
  uint64_t message_digest;  // the header's checksum
  uint64_t from_sequence;
  uint64_t sequence;
  uint64_t zero_too;
  uint64_t checksum;        // XXH3-64 of the bytes before it
};
static_assert(sizeof(MessageCommit) == 64 && offsetof(MessageCommit, checksum) == 56);

}  // namespace auxin::checkpoint
