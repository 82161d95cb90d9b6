// SPDX-License-Identifier: Apache-2.0
//
// How a run of pages is cut into objects. A run of one size class begins with an array of object
// headers, the objects follow; apart from each other, so that an overrun of one object meets its
// neighbour's contents, never a header. An object that is larger than every class has a run of its
// own.
//
// In window mode an object owns whole pages, so that opening it opens nothing else.
#pragma once

#include <cstdint>

#include "stmemu/memory/format.h"

namespace auxin::stm {

struct RunShape {
  uint32_t pages;         // of the run
  uint32_t slots;         // objects in it
  uint32_t first_object;  // offset of the first object in the run; headers are at 0, 32, 64 …
  uint32_t stride;        // bytes from object to object: their capacity (large: see capacity)
  uint32_t reciprocal;    // ceil(2^32 / stride): offset * reciprocal >> 32 is offset / stride
};

inline constexpr uint8_t kMaxClasses = 48;
inline constexpr uint8_t kLargeClass = 255;

class SizeClasses {
 public:
  // `paged`: window mode.
  explicit SizeClasses(bool paged);

  uint8_t count() const { return count_; }
  // kLargeClass above the largest. `size_bytes` > 0.
  uint8_t class_of(uint64_t size_bytes) const;
  // Not for kLargeClass.
  const RunShape& shape(uint8_t size_class) const { return shapes_[size_class]; }
  uint32_t slots(uint8_t size_class) const {
    return size_class == kLargeClass ? 1 : shapes_[size_class].slots;
  }
  // Pages of a run for one object of a size above the largest class; 0: more than can be.
  uint64_t large_pages(uint64_t size_bytes) const;
  uint32_t large_first_object() const { return paged_ ? kPageBytes : 64; }

 private:
  RunShape shapes_[kMaxClasses];
  uint8_t count_ = 0;
  bool paged_;
};

}  // namespace auxin::stm
