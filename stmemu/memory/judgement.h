// SPDX-License-Identifier: Apache-2.0
//
// Whether both copies of an object are good, in line: for opening and committing, whose time this
// is. Includes all of xxHash; whoever is in less of a hurry uses object.h and format.h.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <emmintrin.h>

#include "stmemu/memory/object.h"
#include "stmemu/memory/wide_hash.h"

namespace auxin::stm {

// Contents up to this size are hashed in line; above, the call of a wide variant pays.
inline constexpr uint64_t kShortBytes = 240;

// XXH3-64 of 17 to 128 bytes, by fold().
[[gnu::always_inline]] static inline uint64_t brief_hash(const char* contents, uint64_t size_bytes,
                                                         uint64_t seed) {
  const auto read = [](const void* from) {
    uint64_t word;
    memcpy(&word, from, sizeof(word));
    return word;
  };
  const auto mix = [&](const char* from, uint64_t secret) {
    return fold(read(from) ^ (read(XXH3_kSecret + secret) + seed),
                read(from + 8) ^ (read(XXH3_kSecret + secret + 8) - seed));
  };
  const char* const end = contents + size_bytes;
  uint64_t sum = size_bytes * XXH_PRIME64_1;
  if (size_bytes > 32) {
    if (size_bytes > 64) {
      if (size_bytes > 96) sum += mix(contents + 48, 96) + mix(end - 64, 112);
      sum += mix(contents + 32, 64) + mix(end - 48, 80);
    }
    sum += mix(contents + 16, 32) + mix(end - 32, 48);
  }
  return XXH3_avalanche(sum + mix(contents, 0) + mix(end - 16, 16));
}

[[gnu::always_inline]] static inline uint64_t short_hash(const char* contents, uint64_t size_bytes,
                                                         uint64_t seed) {
  return __builtin_expect(size_bytes >= 17 && size_bytes <= 128, 1)
             ? brief_hash(contents, size_bytes, seed)
             : XXH3_64bits_withSeed(contents, size_bytes, seed);
}

[[gnu::always_inline]] static inline uint64_t hash_in_line(const char* contents,
                                                           uint64_t size_bytes, uint64_t seed) {
  return size_bytes <= kShortBytes ? short_hash(contents, size_bytes, seed)
                                   : fold(wide_hash(contents, size_bytes) ^ seed, kMix[7]);
}

// `size_bytes`: whole words, not many.
[[gnu::always_inline]] inline bool equal_in_line(const char* a, const char* b,
                                                 uint64_t size_bytes) {
  const auto different = [&](uint64_t at) {
    return _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(a + at)),
                         _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(b + at)));
  };
  __m128i differences = _mm_setzero_si128();
  uint64_t at = 0;
  for (; at + 64 <= size_bytes; at += 64) {
    differences = _mm_or_si128(
        differences, _mm_or_si128(_mm_or_si128(different(at), different(at + 16)),
                                  _mm_or_si128(different(at + 32), different(at + 48))));
  }
  for (; at + 16 <= size_bytes; at += 16) differences = _mm_or_si128(differences, different(at));
  if (at < size_bytes) {
    differences = _mm_or_si128(
        differences, _mm_xor_si128(_mm_loadl_epi64(reinterpret_cast<const __m128i_u*>(a + at)),
                                   _mm_loadl_epi64(reinterpret_cast<const __m128i_u*>(b + at))));
  }
  return _mm_movemask_epi8(_mm_cmpeq_epi8(differences, _mm_setzero_si128())) == 0xffff;
}

// Whether the copies are good and equal; `header` gets what they say. `where`: the place's hash.
template <typename AnyBanks>
[[gnu::always_inline]] static inline bool both_are_good(const AnyBanks& banks, uint64_t where,
                                                        const Place& place,
                                                        ObjectHeader* header) {
  const auto& a = banks.a;
  const auto& b = banks.b;
  // Word by word, as headers are stored: the processor need not wait for a store to be done.
  const uint64_t at = place.header;
  ObjectHeader seen;
  seen.checksum = a.word(at);
  seen.version = a.word(at + offsetof(ObjectHeader, version));
  seen.size_and_kind = a.word(at + offsetof(ObjectHeader, size_and_kind));
  seen.type_and_life = a.word(at + offsetof(ObjectHeader, type_and_life));
  const uint64_t differences =
      (seen.checksum ^ b.word(at)) |
      (seen.version ^ b.word(at + offsetof(ObjectHeader, version))) |
      (seen.size_and_kind ^ b.word(at + offsetof(ObjectHeader, size_and_kind))) |
      (seen.type_and_life ^ b.word(at + offsetof(ObjectHeader, type_and_life)));
  *header = seen;
  if (__builtin_expect(differences != 0 || seen.size_bytes() > place.capacity, 0)) return false;
  const uint64_t mixed = header_hash(where, seen);
  if (__builtin_expect(!seen.live_users(), 0)) {
    if (seen.state() != ObjectState::kFree && seen.state() != ObjectState::kLive) return false;
    if (!contents_count(seen)) return seen.checksum == mixed;
  }
  const uint64_t size_bytes = whole_words(seen.size_bytes());
  const char* const in_a = a.at(place.contents);
  const char* const in_b = b.at(place.contents);
  if (size_bytes <= kShortBytes) {
    return (seen.checksum == short_hash(in_a, size_bytes, mixed)) &
           equal_in_line(in_a, in_b, size_bytes);
  }
  bool same = false;
  const uint64_t hash = wide_hash_and_compare(in_a, in_b, size_bytes, &same);
  return (seen.checksum == fold(hash ^ mixed, kMix[7])) & same;
}

}  // namespace auxin::stm
