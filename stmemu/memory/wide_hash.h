// SPDX-License-Identifier: Apache-2.0
//
// XXH3-64 of long contents, with the widest vector instructions of this machine: the same value
// from each (the baseline build knows SSE2 only, a third of the speed). Chosen once, at start.
#pragma once

#include <cstdint>

namespace auxin::stm {

uint64_t wide_hash(const char* bytes, uint64_t size_bytes);

uint64_t wide_hash_sse2(const char* bytes, uint64_t size_bytes);
uint64_t wide_hash_avx2(const char* bytes, uint64_t size_bytes);
uint64_t wide_hash_avx512(const char* bytes, uint64_t size_bytes);

}  // namespace auxin::stm
