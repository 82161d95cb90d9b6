// SPDX-License-Identifier: Apache-2.0
#include "stmemu/memory/size_class.h"

#include <algorithm>
#include <iterator>

#include "stmemu/check.h"

namespace auxin::stm {
namespace {

constexpr uint32_t kStrides[] = {16,   32,   48,   64,   80,   96,   112,  128,  160,  192,
                                 224,  256,  320,  384,  448,  512,  640,  768,  896,  1024,
                                 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144,
                                 7168, 8192};
constexpr uint32_t kPagedStrides[] = {4096, 8192, 12288, 16384};

constexpr uint32_t kHeaderBytes = sizeof(ObjectHeader);

RunShape shape_of(uint32_t stride, uint32_t pages, uint32_t alignment) {
  const uint32_t size_bytes = pages * static_cast<uint32_t>(kPageBytes);
  const auto first_object = [&](uint32_t slots) {
    return (slots * kHeaderBytes + alignment - 1) / alignment * alignment;
  };
  uint32_t slots = size_bytes / (stride + kHeaderBytes);
  while (first_object(slots) + slots * stride > size_bytes) --slots;
  CHECK(slots > 0, "a run holds an object");
  return {pages, slots, first_object(slots), stride,
          static_cast<uint32_t>(((uint64_t{1} << 32) + stride - 1) / stride)};
}

}  // namespace

SizeClasses::SizeClasses(bool paged) : paged_(paged) {
  if (paged) {
    for (const uint32_t stride : kPagedStrides) {
      shapes_[count_++] = shape_of(stride, 1 + 8 * stride / kPageBytes, kPageBytes);
    }
  } else {
    for (const uint32_t stride : kStrides) {
      const uint32_t pages = stride <= 256 ? 4 : stride <= 1024 ? 8 : 16;
      shapes_[count_++] = shape_of(stride, pages, std::min(stride & (~stride + 1), 64u));
    }
  }
}

uint8_t SizeClasses::class_of(uint64_t size_bytes) const {
  CHECK(size_bytes > 0, "an object has a size");
  if (size_bytes > shapes_[count_ - 1].stride) return kLargeClass;
  const RunShape* found = std::lower_bound(
      shapes_, shapes_ + count_, size_bytes,
      [](const RunShape& shape, uint64_t size) { return shape.stride < size; });
  return static_cast<uint8_t>(found - shapes_);
}

uint64_t SizeClasses::large_pages(uint64_t size_bytes) const {
  if (size_bytes > kMaxBankBytes) return 0;
  return whole_pages(large_first_object() + size_bytes);
}

}  // namespace auxin::stm
