// SPDX-License-Identifier: Apache-2.0
#include "recording/call_paths.h"

#include "libmeta_os/private_memory.h"
#include "metamarkers/stack_inspection.h"

namespace auxin::recording {
namespace {

// Shapes stay: they are few. One block after the other, each for whoever comes next.
constexpr size_t kBlockBytes = 1 << 20;
struct Block {
  std::atomic<size_t> used;
  alignas(16) unsigned char bytes[kBlockBytes - 16];
};
constinit std::atomic<Block*> current_block{nullptr};
constexpr size_t kMostBlocks = 64;
constinit std::atomic<size_t> block_count{0};

void* take_memory(size_t size) {
  size = (size + 15) & ~size_t{15};
  for (;;) {
    Block* block = current_block.load(std::memory_order_acquire);
    if (block != nullptr) {
      const size_t at = block->used.fetch_add(size, std::memory_order_relaxed);
      if (at + size <= sizeof block->bytes) return block->bytes + at;
    }
    if (block_count.load(std::memory_order_relaxed) >= kMostBlocks) return nullptr;
    auto* fresh = static_cast<Block*>(os::map_private(kBlockBytes));
    if (fresh == nullptr) return nullptr;
    if (current_block.compare_exchange_strong(block, fresh, std::memory_order_acq_rel)) {
      block_count.fetch_add(1, std::memory_order_relaxed);
    } else {
      os::unmap_private(fresh, kBlockBytes);
    }
  }
}

uint64_t hash_of(const uint64_t* frames, uint32_t count) {
  uint64_t hash = 0x9e3779b97f4a7c15;
  for (uint32_t i = 0; i < count; ++i) {
    hash = (hash ^ frames[i]) * 0xff51afd7ed558ccd;
    hash ^= hash >> 32;
  }
  return hash | 1;  // never 0
}

bool same(const Region& region, const PathSlot& slot, const uint64_t* frames, uint32_t count) {
  if (slot.frame_count != count) return false;
  for (uint32_t i = 0; i < count; ++i) {
    if (region.frames[slot.first_frame + i] != frames[i]) return false;
  }
  return true;
}

// The number of the path in the region's table, which gets it if it is new.
uint32_t intern(Region& region, const uint64_t* frames, uint32_t count) {
  const uint64_t hash = hash_of(frames, count);
  for (uint32_t probe = 0; probe < kPathSlots; ++probe) {
    PathSlot& slot = region.paths[(hash + probe) % kPathSlots];
    uint64_t there = slot.hash.load(std::memory_order_acquire);
    if (there == 0) {
      if (region.path_count.load(std::memory_order_relaxed) >= kMaxPaths ||
          region.frames_used.load(std::memory_order_relaxed) + count > kFramePoolWords) {
        break;
      }
      if (slot.hash.compare_exchange_strong(there, hash, std::memory_order_acq_rel)) {
        const uint32_t first = region.frames_used.fetch_add(count, std::memory_order_relaxed);
        if (first + count > kFramePoolWords) break;
        for (uint32_t i = 0; i < count; ++i) region.frames[first + i] = frames[i];
        slot.first_frame = first;
        slot.frame_count = count;
        const uint32_t number = region.path_count.fetch_add(1, std::memory_order_relaxed) + 1;
        slot.number.store(number, std::memory_order_release);
        return number;
      }
    }
    if (there != hash) continue;
    // Another thread may just be filling it: a handful of stores.
    uint32_t number = slot.number.load(std::memory_order_acquire);
    for (int turn = 0; number == 0 && turn < 1000; ++turn) {
      __builtin_ia32_pause();
      number = slot.number.load(std::memory_order_acquire);
    }
    if (number != 0 && same(region, slot, frames, count)) return number;
  }
  region.lost_paths.fetch_add(1, std::memory_order_relaxed);
  return 0;
}

// The latest shape of each path. At one call site frames mostly have one size, so it fits again.
constinit std::atomic<const PathShape*> shapes[kMaxPaths + 1] = {};

const PathShape* shape_of(uint32_t number, const markers::StackFrame* found, uint32_t length,
                          uintptr_t frame) {
  const PathShape* known = shapes[number].load(std::memory_order_acquire);
  if (known != nullptr && known->word_count == length) {
    uint32_t equal = 0;
    while (equal < length && known->words[equal].offset == found[equal].slot - frame) ++equal;
    if (equal == length) return known;
  }
  auto* fresh = static_cast<PathShape*>(
      take_memory(sizeof(PathShape) + length * sizeof(PathShape::Word)));
  if (fresh == nullptr) return nullptr;
  fresh->number = number;
  fresh->word_count = length;
  for (uint32_t i = 0; i < length; ++i) {
    fresh->words[i] = {found[i].slot - frame, reinterpret_cast<uint64_t>(found[i].return_address)};
  }
  shapes[number].store(fresh, std::memory_order_release);
  return fresh;
}

bool still_there(const PathShape& shape, uintptr_t frame) {
  for (uint32_t i = 0; i < shape.word_count; ++i) {
    const auto* slot = reinterpret_cast<const uint64_t*>(frame + shape.words[i].offset);
    if (*slot != shape.words[i].return_address) return false;
  }
  return true;
}

}  // namespace

uint32_t find_path(Region& region, PathCache& cache, const void* site, uintptr_t frame) {
  const auto address = reinterpret_cast<uint64_t>(site);
  const uint64_t mixed = (address ^ (uint64_t{frame} << 20)) * 0x9e3779b97f4a7c15;
  PathCache::Set& set = cache.sets[mixed >> 56];
  static_assert(kPathSets == 1u << (64 - 56));
  for (const PathCache::Entry& entry : set.entries) {
    if (entry.site == address && entry.frame == frame && still_there(*entry.shape, frame)) {
      return entry.shape->number;
    }
  }
  markers::StackFrame found[kMaxFramesInPath];
  const size_t count = markers::caller_frames(found, kMaxFramesInPath);
  // The wrapper's return address is the base level's call site: the path begins there.
  size_t first = 0;
  while (first < count && found[first].return_address != site) ++first;
  if (first == count) return 0;
  uint64_t frames[kMaxFramesInPath];
  const auto length = static_cast<uint32_t>(count - first);
  for (uint32_t i = 0; i < length; ++i) {
    frames[i] = reinterpret_cast<uint64_t>(found[first + i].return_address);
  }
  const uint32_t number = intern(region, frames, length);
  if (number == 0) return 0;
  if (const PathShape* shape = shape_of(number, found + first, length, frame); shape != nullptr) {
    set.entries[set.next] = {address, frame, shape};
    set.next = (set.next + 1) % kPathsInSet;
  }
  return number;
}

}  // namespace auxin::recording
