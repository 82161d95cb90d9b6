// SPDX-License-Identifier: Apache-2.0
//
// Memory of a state's own with an allocator in it: all that it keeps (the heads of its free lists,
// how far it is used, the process's root) is in the memory itself, as offsets, so that an image of
// the memory is an image of the allocator.
//
//     header block block … unused
//
// Blocks have sizes of powers of two, 32 bytes at least, with 16 bytes of header; freed blocks are
// kept in a list for each size. Blocks are not joined or cut: a state's objects come in few sizes.
//
// After a restore the header is judged before it is used: CHECK.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>

#include "checkpoint/outcome.h"

namespace auxin::checkpoint {

class Arena {
 public:
  // Maps it, where an arena of this id is in every process if that place is free. kWrongCall (size
  // below a page), kNoMemory.
  static Expected<std::unique_ptr<Arena>> create(uint64_t id, uint64_t size_bytes);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  void* memory() const { return header_; }
  uint64_t size_bytes() const { return size_bytes_; }

  void* allocate(uint64_t size_bytes);
  void free(void* memory);
  void set_root(void* root);
  void* root() const;
  bool moved() const;
  // Never used; freed blocks come on top of it.
  uint64_t free_bytes() const;

 private:
  struct Header;
  struct Block;
  Arena(void* memory, uint64_t size_bytes, bool guarded);
  Block* block_at(uint64_t offset) const;
  uint64_t offset_of(const void* pointer) const;

  Header* header_;
  const uint64_t size_bytes_;
  const bool guarded_;  // between pages that nobody may touch
};

}  // namespace auxin::checkpoint
