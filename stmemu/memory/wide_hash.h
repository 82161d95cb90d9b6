// SPDX-License-Identifier: Apache-2.0
//
// XXH3-64 of long contents, more than 240 bytes, with the widest vector instructions of this
// machine: the same value from each (the baseline build knows SSE2 only, a third of the speed).
// Chosen once, at the first call.
#pragma once

#include <cstdint>

namespace auxin::stm {

uint64_t wide_hash(const char* bytes, uint64_t size_bytes);
// The hash of what is at `a`; `same`: whether the same bytes are at `b`.
uint64_t wide_hash_and_compare(const char* a, const char* b, uint64_t size_bytes, bool* same);

uint64_t wide_hash_sse2(const char* bytes, uint64_t size_bytes);
uint64_t wide_hash_avx2(const char* bytes, uint64_t size_bytes);
uint64_t wide_hash_avx512(const char* bytes, uint64_t size_bytes);
uint64_t wide_hash_and_compare_avx512(const char* a, const char* b, uint64_t size_bytes,
                                      bool* same);

}  // namespace auxin::stm
