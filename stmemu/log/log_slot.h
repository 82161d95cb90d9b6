// SPDX-License-Identifier: Apache-2.0
//
// The 64 bytes of a log entry in stable memory, and its two self-checks (FORMAT.md).
//
// Thread safety: the words are atomics. One thread fills a slot, ending with the stamp; any thread
// of any process may look at it at any time, and believes only what the check confirms.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "stmemu/log/stable_log.h"

namespace auxin::stm {

struct LogSlot {
  std::atomic<uint64_t> stamp;           // position + 1 once published; anything else: not that one
  std::atomic<uint64_t> activity;
  std::atomic<uint64_t> object;
  std::atomic<uint64_t> number;
  std::atomic<uint64_t> payload_offset;
  std::atomic<uint64_t> step_and_size;   // step, payload_size_bytes << 32
  std::atomic<uint64_t> kind_and_check;  // kind, flags << 8, call << 16, check << 32
  std::atomic<uint64_t> outcome;         // 0, or value + 1, its check << 32
};
static_assert(sizeof(LogSlot) == 64);
static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(offsetof(LogSlot, payload_offset) == 32);
static_assert(offsetof(LogSlot, kind_and_check) == 48);
static_assert(offsetof(LogSlot, outcome) == 56);

inline constexpr uint64_t kLow32Bits = 0xffff'ffff;

// An entry as it stands in a slot, with its check's half still empty.
struct PackedEntry {
  uint64_t activity, object, number, payload_offset, step_and_size, kind_and_call;
};

inline PackedEntry pack(const LogEntry& entry) {
  return {entry.activity, entry.object, entry.number, entry.payload_offset,
          entry.step | uint64_t{entry.payload_size_bytes} << 32,
          entry.kind | uint64_t{entry.flags} << 8 | uint64_t{entry.call} << 16};
}

inline LogEntry unpack(const PackedEntry& packed) {
  LogEntry entry;
  entry.activity = packed.activity;
  entry.step = static_cast<uint32_t>(packed.step_and_size);
  entry.kind = static_cast<uint8_t>(packed.kind_and_call);
  entry.flags = static_cast<uint8_t>(packed.kind_and_call >> 8);
  entry.call = static_cast<uint16_t>(packed.kind_and_call >> 16);
  entry.object = packed.object;
  entry.number = packed.number;
  entry.payload_offset = packed.payload_offset;
  entry.payload_size_bytes = static_cast<uint32_t>(packed.step_and_size >> 32);
  return entry;
}

// The check over the position, every field, and the payload (null if payload_size_bytes is 0).
inline uint32_t entry_check(uint64_t seed, uint64_t position, const PackedEntry& entry,
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

// The outcome word for `value`; what another position or an earlier lap left never equals one.
inline uint64_t outcome_word(uint64_t seed, uint64_t position, uint32_t value) {
  const uint64_t words[2] = {position, uint64_t{value} + 1};
  const uint64_t check = XXH3_64bits_withSeed(words, sizeof(words), seed);
  return words[1] | check << 32;
}

}  // namespace auxin::stm
