// SPDX-License-Identifier: Apache-2.0
//
// The tracked ranges: disjoint, sorted by address, in memory that was mapped once, so that ranges
// can be added and dropped while nothing may be allocated.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>

namespace auxin::checkpoint {

struct TrackedRange {
  uint64_t begin, end;
  bool fresh;        // never looked at: everything in it is news
  bool dense;        // most of it changes: copied whole, only a sample of it is tracked
  bool executable;   // of the range's own protection, beside reading and writing
  uint64_t bytes() const { return end - begin; }
};

class RangeTable {
 public:
  RangeTable() = default;
  ~RangeTable() { unmap(); }
  RangeTable(const RangeTable&) = delete;
  RangeTable& operator=(const RangeTable&) = delete;

  // Room for `capacity` ranges; pages are taken as they are needed. False: no memory.
  bool map(uint32_t capacity);
  void unmap();

  enum class Change : uint32_t { kDone, kOverlap, kFull };
  Change add(uint64_t begin, uint64_t end, bool executable);
  // What is in [begin, end) of any range goes; a range may be cut in two.
  Change remove(uint64_t begin, uint64_t end);

  uint32_t count() const { return count_; }
  uint32_t capacity() const { return capacity_; }
  TrackedRange& operator[](uint32_t index) { return ranges_[index]; }
  const TrackedRange& operator[](uint32_t index) const { return ranges_[index]; }
  // The first range that ends after `address`, or count().
  uint32_t first_after(uint64_t address) const;

 private:
  void insert(uint32_t index, const TrackedRange& range);
  void erase(uint32_t index);

  TrackedRange* ranges_ = nullptr;
  uint32_t count_ = 0, capacity_ = 0;
};

}  // namespace auxin::checkpoint
