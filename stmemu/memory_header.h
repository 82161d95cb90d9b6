// SPDX-License-Identifier: Apache-2.0
//
// The first page of a stable memory file (FORMAT.md) and where the parts of the file lie.
// Written once, before the file gets its name; never changed afterwards.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "stmemu/stable_memory.h"

namespace auxin::stm {

static_assert(std::endian::native == std::endian::little, "the formats are little-endian");

inline constexpr char kMagic[8] = {'A', 'U', 'X', 'I', 'N', 'S', 'T', 'M'};
inline constexpr uint32_t kFormatVersion = 1;
inline constexpr uint64_t kPageSizeBytes = 4096;
inline constexpr uint64_t kSlotSizeBytes = 64;

// Limits that every layout keeps; they also keep every sum below far from overflow.
inline constexpr uint64_t kMaxControlSizeBytes = uint64_t{1} << 30;
inline constexpr uint64_t kMinEntryCapacity = kPageSizeBytes / kSlotSizeBytes;
inline constexpr uint64_t kMaxEntryCapacity = uint64_t{1} << 32;
inline constexpr uint64_t kMaxPayloadSizeBytes = uint64_t{1} << 40;

struct MemoryHeader {
  char magic[8];
  uint32_t format_version;
  uint32_t control_version;
  uint64_t seed;  // random for each memory: entries of another memory never check here
  uint64_t control_size_bytes;
  uint64_t entry_capacity;
  uint64_t payload_size_bytes;
  uint64_t file_size_bytes;
  uint64_t checksum;  // xxh3 of the 56 bytes before it
};
static_assert(sizeof(MemoryHeader) == 64);
static_assert(offsetof(MemoryHeader, control_version) == 12);
static_assert(offsetof(MemoryHeader, seed) == 16);
static_assert(offsetof(MemoryHeader, control_size_bytes) == 24);
static_assert(offsetof(MemoryHeader, checksum) == 56);

uint64_t header_checksum(const MemoryHeader& header);

// Offsets in the file, and so from the start of the mapping.
inline uint64_t control_offset() { return kPageSizeBytes; }
inline uint64_t log_page_offset(const Layout& l) { return control_offset() + l.control_size_bytes; }
inline uint64_t entries_offset(const Layout& l) { return log_page_offset(l) + kPageSizeBytes; }
inline uint64_t entries_size_bytes(const Layout& l) { return l.entry_capacity * kSlotSizeBytes; }
inline uint64_t payload_offset(const Layout& l) {
  return entries_offset(l) + entries_size_bytes(l);
}
inline uint64_t file_size_bytes(const Layout& l) {
  return payload_offset(l) + l.payload_size_bytes;
}

// Null if the layout can be used, else what is wrong with it.
const char* layout_fault(const Layout& layout);

}  // namespace auxin::stm
