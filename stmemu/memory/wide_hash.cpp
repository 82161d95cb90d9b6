// SPDX-License-Identifier: Apache-2.0
#include "stmemu/memory/wide_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <string.h>

#include <atomic>

namespace auxin::stm {
namespace {

using Hash = uint64_t (*)(const char*, uint64_t);
using HashAndCompare = uint64_t (*)(const char*, const char*, uint64_t, bool*);

uint64_t choose_and_hash(const char* bytes, uint64_t size_bytes);
uint64_t choose_and_hash_and_compare(const char* a, const char* b, uint64_t size_bytes,
                                     bool* same);

// Resolved at the first call; no constructor, so a hook may come before any.
constinit std::atomic<Hash> hash_variant{choose_and_hash};
constinit std::atomic<HashAndCompare> compare_variant{choose_and_hash_and_compare};

template <Hash kHash>
uint64_t one_after_the_other(const char* a, const char* b, uint64_t size_bytes, bool* same) {
  *same = memcmp(a, b, size_bytes) == 0;
  return kHash(a, size_bytes);
}

void choose() {
  __builtin_cpu_init();
  const bool avx512 = __builtin_cpu_supports("avx512f"), avx2 = __builtin_cpu_supports("avx2");
  hash_variant.store(avx512 ? wide_hash_avx512 : avx2 ? wide_hash_avx2 : wide_hash_sse2,
                     std::memory_order_relaxed);
  compare_variant.store(avx512 ? wide_hash_and_compare_avx512
                        : avx2 ? one_after_the_other<wide_hash_avx2>
                               : one_after_the_other<wide_hash_sse2>,
                        std::memory_order_relaxed);
}

uint64_t choose_and_hash(const char* bytes, uint64_t size_bytes) {
  choose();
  return wide_hash(bytes, size_bytes);
}

uint64_t choose_and_hash_and_compare(const char* a, const char* b, uint64_t size_bytes,
                                     bool* same) {
  choose();
  return wide_hash_and_compare(a, b, size_bytes, same);
}

}  // namespace

uint64_t wide_hash(const char* bytes, uint64_t size_bytes) {
  return hash_variant.load(std::memory_order_relaxed)(bytes, size_bytes);
}

uint64_t wide_hash_and_compare(const char* a, const char* b, uint64_t size_bytes, bool* same) {
  return compare_variant.load(std::memory_order_relaxed)(a, b, size_bytes, same);
}

uint64_t wide_hash_sse2(const char* bytes, uint64_t size_bytes) {
  return XXH3_64bits(bytes, size_bytes);
}

}  // namespace auxin::stm
