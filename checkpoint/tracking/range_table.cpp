// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/range_table.h"

#include <sys/mman.h>

#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {

bool RangeTable::map(uint32_t capacity) {
  const long memory = os::raw_syscall(
      SYS_mmap, 0, static_cast<long>(capacity * sizeof(TrackedRange)), PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory <= 0) return false;
  ranges_ = reinterpret_cast<TrackedRange*>(memory);
  count_ = 0;
  capacity_ = capacity;
  return true;
}

void RangeTable::unmap() {
  if (ranges_ == nullptr) return;
  os::raw_syscall(SYS_munmap, reinterpret_cast<long>(ranges_),
                  static_cast<long>(capacity_ * sizeof(TrackedRange)));
  ranges_ = nullptr;
  count_ = capacity_ = 0;
}

uint32_t RangeTable::first_after(uint64_t address) const {
  uint32_t low = 0, high = count_;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (ranges_[middle].end > address) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

void RangeTable::insert(uint32_t index, const TrackedRange& range) {
  for (uint32_t i = count_; i > index; --i) ranges_[i] = ranges_[i - 1];
  ranges_[index] = range;
  ++count_;
}

void RangeTable::erase(uint32_t index) {
  --count_;
  for (uint32_t i = index; i < count_; ++i) ranges_[i] = ranges_[i + 1];
}

RangeTable::Change RangeTable::add(uint64_t begin, uint64_t end, bool executable) {
  const uint32_t index = first_after(begin);
  if (index < count_ && ranges_[index].begin < end) return Change::kOverlap;
  if (count_ == capacity_) return Change::kFull;
  insert(index, TrackedRange{begin, end, true, false, executable});
  return Change::kDone;
}

RangeTable::Change RangeTable::remove(uint64_t begin, uint64_t end) {
  uint32_t index = first_after(begin);
  while (index < count_ && ranges_[index].begin < end) {
    TrackedRange& range = ranges_[index];
    const TrackedRange whole = range;
    if (whole.begin < begin && whole.end > end) {
      if (count_ == capacity_) return Change::kFull;
      range.end = begin;
      TrackedRange rest = whole;
      rest.begin = end;
      insert(index + 1, rest);
      return Change::kDone;
    }
    if (whole.begin < begin) {
      range.end = begin;
      ++index;
    } else if (whole.end > end) {
      range.begin = end;
      return Change::kDone;
    } else {
      erase(index);
    }
  }
  return Change::kDone;
}

}  // namespace auxin::checkpoint
