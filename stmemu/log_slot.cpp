// SPDX-License-Identifier: Apache-2.0
#include "stmemu/log_slot.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace auxin::stm {

uint32_t entry_check(uint64_t seed, uint64_t position, const PackedEntry& entry,
                     const char* payload) {
  const uint64_t payload_size_bytes = entry.step_and_size >> 32;
  const uint64_t words[8] = {
      position,
      entry.activity,
      entry.object,
      entry.number,
      entry.payload_offset,
      entry.step_and_size,
      entry.kind_and_call,
      payload_size_bytes == 0 ? 0 : XXH3_64bits(payload, payload_size_bytes)};
  return static_cast<uint32_t>(XXH3_64bits_withSeed(words, sizeof(words), seed));
}

uint64_t outcome_word(uint64_t seed, uint64_t position, uint32_t value) {
  const uint64_t words[2] = {position, uint64_t{value} + 1};
  const uint64_t check = XXH3_64bits_withSeed(words, sizeof(words), seed);
  return words[1] | check << 32;
}

}  // namespace auxin::stm
