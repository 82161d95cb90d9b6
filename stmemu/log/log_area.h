// SPDX-License-Identifier: Apache-2.0
//
// The first page of a group's part of a memory file, its plain area (FORMAT.md), and where its
// parts lie. Written once, before the file gets its name; never changed afterwards.
#pragma once

#include <cstddef>
#include <cstdint>

#include "stmemu/memory/format.h"
#include "stmemu/log/stable_memory.h"

namespace auxin::stm {

inline constexpr char kLogAreaMagic[8] = {'A', 'U', 'X', 'I', 'N', 'L', 'O', 'G'};
inline constexpr uint32_t kLogAreaVersion = 2;  // 1 was a file of its own
inline constexpr uint64_t kPageSizeBytes = kPageBytes;
inline constexpr uint64_t kSlotSizeBytes = 64;

// Limits that every layout keeps; they also keep every sum below far from overflow.
inline constexpr uint64_t kMaxControlSizeBytes = uint64_t{1} << 30;
inline constexpr uint64_t kMinEntryCapacity = kPageSizeBytes / kSlotSizeBytes;
inline constexpr uint64_t kMaxEntryCapacity = uint64_t{1} << 32;
inline constexpr uint64_t kMaxPayloadSizeBytes = uint64_t{1} << 40;

struct LogAreaHeader {
  char magic[8];
  uint32_t format_version;
  uint32_t control_version;
  uint64_t seed;  // random for each memory: entries of another memory never check here
  uint64_t control_size_bytes;
  uint64_t entry_capacity;
  uint64_t payload_size_bytes;
  uint64_t area_size_bytes;
  uint64_t checksum;  // xxh3 of the 56 bytes before it
};
static_assert(sizeof(LogAreaHeader) == 64);
static_assert(offsetof(LogAreaHeader, control_version) == 12);
static_assert(offsetof(LogAreaHeader, seed) == 16);
static_assert(offsetof(LogAreaHeader, control_size_bytes) == 24);
static_assert(offsetof(LogAreaHeader, checksum) == 56);

uint64_t header_checksum(const LogAreaHeader& header);

// Storage that is taken ahead of the log's end, if there is that much.
inline constexpr uint64_t kReserveAheadBytes = uint64_t{16} << 20;

// Of the banks beside it: room for what the group keeps in objects.
inline constexpr uint64_t kGroupBankBytes = uint64_t{1} << 20;

// Offsets in the area, and so from the start of the mapping.
inline uint64_t control_offset() { return kPageSizeBytes; }
inline uint64_t log_page_offset(const Layout& l) { return control_offset() + l.control_size_bytes; }
inline uint64_t entries_offset(const Layout& l) { return log_page_offset(l) + kPageSizeBytes; }
inline uint64_t entries_size_bytes(const Layout& l) { return l.entry_capacity * kSlotSizeBytes; }
inline uint64_t payload_offset(const Layout& l) {
  return entries_offset(l) + entries_size_bytes(l);
}
inline uint64_t area_size_bytes(const Layout& l) {
  return payload_offset(l) + l.payload_size_bytes;
}

// Null if the layout can be used, else what is wrong with it.
const char* layout_fault(const Layout& layout);

}  // namespace auxin::stm
