// SPDX-License-Identifier: Apache-2.0
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "checkpoint/state/named_region.h"

namespace auxin::checkpoint {

// 128 bits, because nothing else is compared: two pages that differ are taken for equal once in
// 2^128. The low bit is set, so that no page has the digest of one that is not known.
PageDigest digest_of_page(const void* page) {
  const XXH128_hash_t hash = XXH3_128bits(page, kPageBytes);
  return {hash.low64 | 1, hash.high64};
}

PageDigest digest_of_zeros() {
  alignas(64) static constexpr char kZeros[kPageBytes] = {};
  static const PageDigest digest = digest_of_page(kZeros);
  return digest;
}

}  // namespace auxin::checkpoint
