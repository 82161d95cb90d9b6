// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/state/staging.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "stmemu/check.h"

namespace auxin::checkpoint {
namespace {

constexpr uint64_t kHugePageBytes = uint64_t{2} << 20;
constexpr uint64_t kReadyAtFirst = 64;       // pages
constexpr uint64_t kReadyFraction = 50;      // of all: 2 in a hundred

}  // namespace

Staging::~Staging() {
  if (memory_ != nullptr) munmap(memory_, room_ * kPageBytes);
}

bool Staging::make_room(uint64_t pages, bool shared) {
  const uint64_t unit = kHugePageBytes / kPageBytes;
  const uint64_t room = (pages + unit) / unit * unit;
  if (room <= room_ && shared == shared_) return true;
  if (room >= kZeroSlot) return false;
  void* memory = mmap(nullptr, room * kPageBytes, PROT_READ | PROT_WRITE,
                      MAP_ANONYMOUS | MAP_NORESERVE | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
  if (memory == MAP_FAILED) return false;
  if (used_ != 0) std::memcpy(memory, memory_, used_ * kPageBytes);
  if (memory_ != nullptr) munmap(memory_, room_ * kPageBytes);
  memory_ = static_cast<char*>(memory);
  room_ = room;
  shared_ = shared;
  ready_ = 0;
  madvise(memory_, room * kPageBytes, MADV_HUGEPAGE);
  make_ready(std::max(kReadyAtFirst, pages / kReadyFraction));
  return true;
}

void Staging::make_ready(uint64_t pages) {
  if (shared_) return;  // a child fills it, outside the pause
  const uint64_t wanted = std::min(pages, room_);
  for (; ready_ < wanted; ++ready_) {
    *static_cast<volatile char*>(memory_ + ready_ * kPageBytes) = 0;
  }
}

void Staging::clear() {
  CHECK(used_ <= room_, "a page has one slot at most");
  ready_ = std::max(ready_, used_);
  const uint64_t unit = kHugePageBytes / kPageBytes;
  const uint64_t wanted = std::max(used_, used_before_) * 3 / 2 + kReadyAtFirst;
  const uint64_t kept = wanted / unit * unit + unit;
  if (kept < ready_) {
    madvise(memory_ + kept * kPageBytes, (ready_ - kept) * kPageBytes,
            shared_ ? MADV_REMOVE : MADV_DONTNEED);
    ready_ = kept;
  }
  make_ready(used_ + used_ / 2);
  used_before_ = std::exchange(used_, 0);
}

}  // namespace auxin::checkpoint
