// SPDX-License-Identifier: Apache-2.0
//
// One byte for each page of the address space, for a signal handler: found by two loads, without
// locks, whatever else goes on. Blocks of a gibibyte's pages are mapped when a range in them is
// tracked first, and stay.
//
// Thread safety: bytes are atomic; blocks are added by one thread at a time.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdint>

#include "checkpoint/tracking/page_run.h"
#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {

class PageStates {
 public:
  using State = std::atomic<uint8_t>;

  // False: no memory.
  bool make_room(uint64_t begin, uint64_t end) {
    if (directory_.load() == nullptr) {
      void* memory = map(kBlocks * sizeof(Block));
      if (memory == nullptr) return false;
      directory_.store(static_cast<Block*>(memory));
    }
    for (uint64_t block = begin >> kBlockShift; block <= (end - 1) >> kBlockShift; ++block) {
      Block& place = directory_.load()[block];
      if (place.load() != nullptr) continue;
      void* memory = map(kPagesOfBlock);
      if (memory == nullptr) return false;
      place.store(static_cast<State*>(memory));
    }
    return true;
  }
  // Null: nothing is known there.
  State* at(uint64_t address) const {
    Block* directory = directory_.load(std::memory_order_acquire);
    if (directory == nullptr || address >> kAddressBits != 0) return nullptr;
    State* block = directory[address >> kBlockShift].load(std::memory_order_acquire);
    return block == nullptr ? nullptr : block + (address / kPageBytes) % kPagesOfBlock;
  }

 private:
  static constexpr uint64_t kAddressBits = 47, kBlockShift = 30;
  static constexpr uint64_t kBlocks = uint64_t{1} << (kAddressBits - kBlockShift);
  static constexpr uint64_t kPagesOfBlock = (uint64_t{1} << kBlockShift) / kPageBytes;
  using Block = std::atomic<State*>;

  static void* map(uint64_t bytes) {
    const long memory =
        os::raw_syscall(SYS_mmap, 0, static_cast<long>(bytes), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory <= 0 ? nullptr : reinterpret_cast<void*>(memory);
  }

  std::atomic<Block*> directory_{nullptr};
};

}  // namespace auxin::checkpoint
