// SPDX-License-Identifier: Apache-2.0
#include "stmemu/log/log_area.h"

#include <bit>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace auxin::stm {

uint64_t header_checksum(const LogAreaHeader& header) {
  return XXH3_64bits(&header, offsetof(LogAreaHeader, checksum));
}

const char* layout_fault(const Layout& layout) {
  if (layout.control_size_bytes % kPageSizeBytes != 0 ||
      layout.control_size_bytes > kMaxControlSizeBytes) {
    return "the control area must be a multiple of 4096 bytes, at most 1 GiB";
  }
  if (!std::has_single_bit(layout.entry_capacity) || layout.entry_capacity < kMinEntryCapacity ||
      layout.entry_capacity > kMaxEntryCapacity) {
    return "the number of log entries must be a power of two from 64 to 2^32";
  }
  if (!std::has_single_bit(layout.payload_size_bytes) ||
      layout.payload_size_bytes < kPageSizeBytes ||
      layout.payload_size_bytes > kMaxPayloadSizeBytes) {
    return "the log's payload size must be a power of two from 4096 bytes to 1 TiB";
  }
  return nullptr;
}

}  // namespace auxin::stm
