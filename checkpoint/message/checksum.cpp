// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/message/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>

#include "stmemu/memory/wide_hash.h"

namespace auxin::checkpoint {

uint64_t checksum_of(const void* bytes, uint64_t size_bytes) {
  constexpr uint64_t kShort = 240;  // up to here XXH3 uses no vectors
  return size_bytes > kShort ? stm::wide_hash(static_cast<const char*>(bytes), size_bytes)
                             : XXH3_64bits(bytes, size_bytes);
}

bool all_zeros(const void* bytes, uint64_t size_bytes) {
  const char* at = static_cast<const char*>(bytes);
  if (size_bytes == 0) return true;
  return at[0] == 0 && std::memcmp(at, at + 1, size_bytes - 1) == 0;
}

}  // namespace auxin::checkpoint
