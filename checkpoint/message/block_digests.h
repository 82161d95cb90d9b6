// SPDX-License-Identifier: Apache-2.0
//
// Digests of a region's bytes, block by block, so that bits that turn in memory are found.
//
// Thread safety: as any container.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace auxin::checkpoint {

namespace injection {
struct Tables;
}

class BlockDigests {
 public:
  static constexpr uint64_t kBlockBytes = 64 << 10;

  // Of all blocks that [offset, offset + length) touches, as they are now.
  void note(std::span<const uint8_t> bytes, uint64_t offset, uint64_t length);
  // The blocks of another size of the region: note() tells of them again.
  void resize(uint64_t size_bytes);
  // False: a block that the range touches is not what was noted.
  bool are_right(std::span<const uint8_t> bytes, uint64_t offset, uint64_t length) const;

 private:
  friend struct injection::Tables;  // turns bits in them
  std::vector<uint64_t> digests_;
};

}  // namespace auxin::checkpoint
