// SPDX-License-Identifier: Apache-2.0
//
// Compiled for avx512 (stmemu/CMakeLists.txt); called only where the machine has it.
//
// XXH3's long hash once more: two accumulators, whose sum is the one it is defined with, so that a
// stripe need not wait for the one before; and the comparison with another copy of the bytes takes
// place in the same registers.
#include "stmemu/memory/wide_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <immintrin.h>

namespace auxin::stm {
namespace {

constexpr uint64_t kStripeBytes = 64;
constexpr uint64_t kSecretStep = 8;  // bytes of the secret from stripe to stripe
constexpr uint64_t kLastSecret = sizeof(XXH3_kSecret) - kStripeBytes;
constexpr uint64_t kStripesPerBlock = kLastSecret / kSecretStep;
constexpr uint64_t kBlockBytes = kStripesPerBlock * kStripeBytes;
constexpr uint64_t kSecretOfTheRest = kLastSecret - 7;
constexpr uint64_t kSecretOfTheSum = 11;

alignas(64) constexpr uint64_t kStart[8] = XXH3_INIT_ACC;

inline __m512i load(const void* from) { return _mm512_loadu_si512(from); }

// What has been seen so far: the sums, and where the copies differed.
struct Sums {
  __m512i even = _mm512_load_si512(kStart);
  __m512i odd = _mm512_setzero_si512();
  __m512i differences = _mm512_setzero_si512();
};

// 64 bytes at `a` and, to compare, at `b`.
template <bool kCompare>
inline __m512i take(__m512i sum, const char* a, const char* b, uint64_t secret, Sums* sums) {
  const __m512i data = load(a);
  if constexpr (kCompare) {
    constexpr int kOrOfXor = 0xf6;  // first | (second ^ third)
    sums->differences =
        _mm512_ternarylogic_epi64(sums->differences, data, load(b), kOrOfXor);
  }
  const __m512i keyed = _mm512_xor_si512(data, load(XXH3_kSecret + secret));
  const __m512i product = _mm512_mul_epu32(keyed, _mm512_srli_epi64(keyed, 32));
  const __m512i swapped = _mm512_shuffle_epi32(data, _MM_PERM_BADC);
  return _mm512_add_epi64(product, _mm512_add_epi64(swapped, sum));
}

template <bool kCompare>
inline void take_stripes(const char* a, const char* b, uint64_t stripes, Sums* sums) {
  uint64_t stripe = 0;
#pragma GCC unroll 2
  for (; stripe + 2 <= stripes; stripe += 2) {
    const uint64_t at = stripe * kStripeBytes, next = at + kStripeBytes;
    const uint64_t secret = stripe * kSecretStep;
    sums->even = take<kCompare>(sums->even, a + at, b + at, secret, sums);
    sums->odd = take<kCompare>(sums->odd, a + next, b + next, secret + kSecretStep, sums);
  }
  if (stripe < stripes) {
    const uint64_t at = stripe * kStripeBytes;
    sums->even = take<kCompare>(sums->even, a + at, b + at, stripe * kSecretStep, sums);
  }
}

inline void scramble(Sums* sums) {
  const __m512i sum = _mm512_add_epi64(sums->even, sums->odd);
  const __m512i shifted = _mm512_xor_si512(sum, _mm512_srli_epi64(sum, 47));
  const __m512i keyed = _mm512_xor_si512(shifted, load(XXH3_kSecret + kLastSecret));
  const __m512i prime = _mm512_set1_epi32(static_cast<int>(XXH_PRIME32_1));
  const __m512i low = _mm512_mul_epu32(keyed, prime);
  const __m512i high = _mm512_mul_epu32(_mm512_srli_epi64(keyed, 32), prime);
  sums->even = _mm512_add_epi64(low, _mm512_slli_epi64(high, 32));
  sums->odd = _mm512_setzero_si512();
}

template <bool kCompare>
inline uint64_t hash(const char* a, const char* b, uint64_t size_bytes, bool* same) {
  Sums sums;
  uint64_t at = 0;
  for (; size_bytes - at > kBlockBytes; at += kBlockBytes) {
    take_stripes<kCompare>(a + at, b + at, kStripesPerBlock, &sums);
    scramble(&sums);
  }
  take_stripes<kCompare>(a + at, b + at, (size_bytes - at - 1) / kStripeBytes, &sums);
  // The last stripe may overlap the one before.
  const uint64_t last = size_bytes - kStripeBytes;
  sums.odd = take<kCompare>(sums.odd, a + last, b + last, kSecretOfTheRest, &sums);
  if constexpr (kCompare) {
    *same = _mm512_test_epi64_mask(sums.differences, sums.differences) == 0;
  }
  alignas(64) uint64_t lanes[8];
  _mm512_store_si512(lanes, _mm512_add_epi64(sums.even, sums.odd));
  _mm256_zeroupper();  // the compiler leaves it out; what follows would be slow
  return XXH3_mergeAccs(lanes, XXH3_kSecret + kSecretOfTheSum, size_bytes * XXH_PRIME64_1);
}

}  // namespace

uint64_t wide_hash_avx512(const char* bytes, uint64_t size_bytes) {
  return hash<false>(bytes, bytes, size_bytes, nullptr);
}

uint64_t wide_hash_and_compare_avx512(const char* a, const char* b, uint64_t size_bytes,
                                      bool* same) {
  return hash<true>(a, b, size_bytes, same);
}

}  // namespace auxin::stm
