// SPDX-License-Identifier: Apache-2.0
//
// Compiled for avx512 (stmemu/CMakeLists.txt); called only where the machine has it.
#include "stmemu/memory/wide_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace auxin::stm {

uint64_t wide_hash_avx512(const char* bytes, uint64_t size_bytes) {
  return XXH3_64bits(bytes, size_bytes);
}

}  // namespace auxin::stm
