// SPDX-License-Identifier: Apache-2.0
//
// An Incremental Message, byte for byte (checkpoint/FORMAT.md): header, contents, regions, runs.
// Little-endian; nothing is aligned.
#pragma once

#include <cstddef>
#include <cstdint>

namespace auxin::checkpoint {

inline constexpr char kMessageMagic[8] = {'A', 'U', 'X', 'I', 'N', 'I', 'M', 'S'};
inline constexpr uint16_t kMessageVersion = 1;
// Longer contents are several runs, so that a reader needs no more memory than this to unpack one.
inline constexpr uint32_t kMaxRunBytes = 1 << 20;

enum MessageFlag : uint32_t {
  kBase = 1,              // needs no message before it
  kContentChecksums = 2,  // each run has one
};
inline constexpr uint32_t kKnownMessageFlags = kBase | kContentChecksums;

struct MessageHeader {
  char magic[8];
  uint16_t version;
  uint16_t header_bytes;
  uint32_t flags;
  uint64_t state;            // which state it is of: chosen at random when that was made
  uint64_t from_sequence;    // the message before; 0 in a base
  uint64_t sequence;         // grows from message to message, from 1
  uint64_t taken_at_ns;      // since 1970
  uint64_t user_word;        // the process's own
  uint32_t region_count;
  uint32_t zero;
  uint64_t run_count;
  uint64_t content_bytes;    // of all runs but zero ones, unpacked
  uint64_t stored_bytes;     // of the same, as they stand here
  uint64_t total_bytes;      // of the message
  uint64_t tables_checksum;  // XXH3-64 of regions and runs
  uint64_t zero_too[2];
  uint64_t header_checksum;  // XXH3-64 of the bytes before it
};
static_assert(sizeof(MessageHeader) == 128 && offsetof(MessageHeader, region_count) == 56 &&
              offsetof(MessageHeader, header_checksum) == 120);

enum RegionFlag : uint32_t {
  kWhole = 1,    // nothing earlier counts: what no run covers is zeros
  kRemoved = 2,  // there is no such region any more; size and runs are 0
};
inline constexpr uint32_t kKnownRegionFlags = kWhole | kRemoved;

struct RegionRecord {
  uint64_t id;
  uint64_t size_bytes;  // as it is now
  uint64_t address;     // where it was in the sender; a hint
  uint32_t run_count;
  uint32_t flags;
};
static_assert(sizeof(RegionRecord) == 32);

enum class Encoding : uint32_t { kZeros = 0, kRaw = 1, kLz4 = 2 };

struct RunRecord {
  uint64_t offset;    // in its region
  uint32_t length;    // unpacked; 1 to kMaxRunBytes, zeros: to 2^32 - 1
  uint32_t stored_bytes;
  uint32_t encoding;
  uint32_t zero;
  uint64_t checksum;  // XXH3-64 of the unpacked contents; 0 for zeros, or without checksums
};
static_assert(sizeof(RunRecord) == 32);

}  // namespace auxin::checkpoint
