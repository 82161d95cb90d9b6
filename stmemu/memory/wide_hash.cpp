// SPDX-License-Identifier: Apache-2.0
#include "stmemu/memory/wide_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <atomic>

namespace auxin::stm {
namespace {

using Variant = uint64_t (*)(const char*, uint64_t);

uint64_t choose_and_hash(const char* bytes, uint64_t size_bytes);

// Resolved at the first call; no constructor, so a hook may come before any.
constinit std::atomic<Variant> variant{choose_and_hash};

uint64_t choose_and_hash(const char* bytes, uint64_t size_bytes) {
  __builtin_cpu_init();
  const Variant chosen = __builtin_cpu_supports("avx512f") ? wide_hash_avx512
                         : __builtin_cpu_supports("avx2")  ? wide_hash_avx2
                                                           : wide_hash_sse2;
  variant.store(chosen, std::memory_order_relaxed);
  return chosen(bytes, size_bytes);
}

}  // namespace

uint64_t wide_hash(const char* bytes, uint64_t size_bytes) {
  return variant.load(std::memory_order_relaxed)(bytes, size_bytes);
}

uint64_t wide_hash_sse2(const char* bytes, uint64_t size_bytes) {
  return XXH3_64bits(bytes, size_bytes);
}

}  // namespace auxin::stm
