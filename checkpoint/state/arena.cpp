// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/state/arena.h"

#include <sys/mman.h>

#include "checkpoint/detection/detection.h"
#include "checkpoint/detection/guarded_memory.h"
#include "stmemu/check.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

namespace auxin::checkpoint {
namespace {

constexpr uint64_t kArenaMagic = 0x414e455241585541;  // "AUXARENA"
constexpr uint32_t kSizeClasses = 48;                 // 2^5 … 2^52
constexpr uint32_t kLeastShift = 5;
// Far from where the kernel maps by itself. Each id has a window of 64 GiB.
constexpr uint64_t kPlaces = 0x180000000000, kPlaceBytes = uint64_t{1} << 36, kPlaceCount = 64;

uint32_t class_of(uint64_t bytes) {
  uint32_t index = 0;
  while ((uint64_t{1} << (index + kLeastShift)) < bytes) ++index;
  return index;
}

}  // namespace

struct Arena::Header {
  uint64_t magic;
  uint64_t size_bytes;
  uint64_t address;              // where it was mapped when it was made
  uint64_t root;                 // offset, 0: none
  uint64_t used;                 // offset of what was never used
  uint64_t zero;
  uint64_t free_lists[kSizeClasses];  // offset of the first free block of each size
};

struct alignas(16) Arena::Block {
  uint32_t size_class;
  uint32_t allocated;  // 1 or 0
  uint64_t next_free;  // offset
};

Arena::Arena(void* memory, uint64_t size_bytes, bool guarded)
    : header_(static_cast<Header*>(memory)), size_bytes_(size_bytes), guarded_(guarded) {
  static_assert(sizeof(Block) == 16 && sizeof(Header) % 16 == 0);
  header_->magic = kArenaMagic;
  header_->size_bytes = size_bytes;
  header_->address = reinterpret_cast<uint64_t>(memory);
  header_->used = sizeof(Header);
}

Expected<std::unique_ptr<Arena>> Arena::create(uint64_t id, uint64_t size_bytes) {
  if (size_bytes < 4096 || size_bytes > kPlaceBytes) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL, "an arena has 4 KiB to 64 GiB");
  }
  [[maybe_unused]] void* const place =
      reinterpret_cast<void*>(kPlaces + id % kPlaceCount * kPlaceBytes);
  if (detects(AUXIN_CHECKPOINT_DETECT_OVERRUNS)) {
    if (void* guarded = map_guarded(size_bytes, false, "an arena", place)) {
      return std::unique_ptr<Arena>(new Arena(guarded, size_bytes, true));
    }
  }
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* memory = MAP_FAILED;
#ifndef __SANITIZE_THREAD__  // which allows memory in places of its own choice only
  memory = mmap(place, size_bytes, PROT_READ | PROT_WRITE, kFlags | MAP_FIXED_NOREPLACE, -1, 0);
#endif
  if (memory == MAP_FAILED) {
    memory = mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, kFlags, -1, 0);
  }
  if (memory == MAP_FAILED) {
    return failure(AUXIN_CHECKPOINT_NO_MEMORY,
                   "no memory for an arena of " + std::to_string(size_bytes) + " bytes");
  }
  return std::unique_ptr<Arena>(new Arena(memory, size_bytes, false));
}

Arena::~Arena() {
  if (guarded_) {
    unmap_guarded(header_, size_bytes_);
  } else {
    munmap(header_, size_bytes_);
  }
}

Arena::Block* Arena::block_at(uint64_t offset) const {
  CHECK(header_->magic == kArenaMagic && header_->size_bytes == size_bytes_,
        "the memory of an arena holds an arena");
  CHECK(offset >= sizeof(Header) && offset % 16 == 0 && offset <= size_bytes_ - sizeof(Block),
        "a block is in its arena");
  return reinterpret_cast<Block*>(reinterpret_cast<char*>(header_) + offset);
}

uint64_t Arena::offset_of(const void* pointer) const {
  const uint64_t address = reinterpret_cast<uint64_t>(pointer);
  const uint64_t begin = reinterpret_cast<uint64_t>(header_);
  CHECK(address >= begin && address < begin + size_bytes_, "a pointer into the arena");
  return address - begin;
}

void* Arena::allocate(uint64_t size_bytes) {
  if (size_bytes > size_bytes_) return nullptr;
  const uint32_t size_class = class_of(size_bytes + sizeof(Block));
  const uint64_t bytes = uint64_t{1} << (size_class + kLeastShift);
  uint64_t& first = header_->free_lists[size_class];
  Block* block = nullptr;
  if (first != 0) {
    block = block_at(first);
    CHECK(block->allocated == 0 && block->size_class == size_class, "a free block is free");
    first = block->next_free;
  } else {
    CHECK(header_->used <= size_bytes_, "no more is used than there is");
    if (bytes > size_bytes_ - header_->used) return nullptr;
    block = block_at(header_->used);
    header_->used += bytes;
  }
  *block = Block{size_class, 1, 0};
  return block + 1;
}

void Arena::free(void* memory) {
  if (memory == nullptr) return;
  const uint64_t offset = offset_of(memory) - sizeof(Block);
  Block* block = block_at(offset);
  CHECK(block->allocated == 1 && block->size_class < kSizeClasses, "it is allocated");
  *block = Block{block->size_class, 0, header_->free_lists[block->size_class]};
  header_->free_lists[block->size_class] = offset;
}

void Arena::set_root(void* root) { header_->root = root == nullptr ? 0 : offset_of(root); }

void* Arena::root() const {
  if (header_->root == 0) return nullptr;
  CHECK(header_->root < size_bytes_, "the root is in the arena");
  return reinterpret_cast<char*>(header_) + header_->root;
}

bool Arena::moved() const { return header_->address != reinterpret_cast<uint64_t>(header_); }

uint64_t Arena::free_bytes() const { return size_bytes_ - header_->used; }

}  // namespace auxin::checkpoint
