// SPDX-License-Identifier: Apache-2.0
#include "stmemu/memory/format.h"

#include "stmemu/memory/judgement.h"

namespace auxin::stm {

uint64_t head_checksum(uint64_t seed, uint64_t page, const PageHead& head) {
  uint64_t words[4] = {page};
  memcpy(words + 1, &head.version, sizeof(PageHead) - sizeof(head.checksum));
  return XXH3_64bits_withSeed(words, sizeof(words), seed);
}

uint64_t contents_hash(const char* contents, uint64_t size_bytes, uint64_t seed) {
  return hash_in_line(contents, size_bytes, seed);
}

bool unpack_state(uint64_t seed, uint64_t descriptor, uint64_t word, DescriptorState* state) {
  const uint64_t said = word >> kStateCheckBits;
  if (((word_check(seed, descriptor, 0, said) ^ word) & low_bits(kStateCheckBits)) != 0) {
    return false;
  }
  state->serial = said & kSerialMask;
  state->phase = static_cast<Phase>(said >> 40);
  return state->phase <= Phase::kCommitted;
}

bool unpack_intent(uint64_t seed, uint64_t where, uint64_t serial, uint64_t word, Intent* intent) {
  const uint64_t said = word >> kIntentCheckBits;
  const uint64_t check = word_check(seed, where, serial & kSerialMask, said);
  if (((check ^ word) & low_bits(kIntentCheckBits)) != 0) return false;
  intent->header = (said & low_bits(35)) * sizeof(ObjectHeader);
  intent->deed = static_cast<Intent::Deed>(said >> 35);
  return intent->deed >= Intent::kChange && intent->deed <= Intent::kBlock;
}

}  // namespace auxin::stm
