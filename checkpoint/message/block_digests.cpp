// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/message/block_digests.h"

#include <algorithm>

#include "checkpoint/message/checksum.h"

namespace auxin::checkpoint {
namespace {

uint64_t digest_of(std::span<const uint8_t> bytes, uint64_t block) {
  const uint64_t at = block * BlockDigests::kBlockBytes;
  return checksum_of(bytes.data() + at, std::min(BlockDigests::kBlockBytes, bytes.size() - at));
}

uint64_t blocks_of(uint64_t size_bytes) {
  return (size_bytes + BlockDigests::kBlockBytes - 1) / BlockDigests::kBlockBytes;
}

}  // namespace

void BlockDigests::resize(uint64_t size_bytes) { digests_.assign(blocks_of(size_bytes), 0); }

void BlockDigests::note(std::span<const uint8_t> bytes, uint64_t offset, uint64_t length) {
  if (length == 0) return;
  const uint64_t last = (offset + length - 1) / kBlockBytes;
  for (uint64_t block = offset / kBlockBytes; block <= last; ++block) {
    digests_[block] = digest_of(bytes, block);
  }
}

bool BlockDigests::are_right(std::span<const uint8_t> bytes, uint64_t offset,
                             uint64_t length) const {
  if (length == 0) return true;
  const uint64_t last = (offset + length - 1) / kBlockBytes;
  for (uint64_t block = offset / kBlockBytes; block <= last; ++block) {
    if (digests_[block] != digest_of(bytes, block)) return false;
  }
  return true;
}

}  // namespace auxin::checkpoint
