// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/state/staging.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "checkpoint/detection/detection.h"
#include "checkpoint/detection/guarded_memory.h"
#include "stmemu/check.h"

namespace auxin::checkpoint {
namespace {

constexpr uint64_t kHugePageBytes = uint64_t{2} << 20;
constexpr uint64_t kReadyAtFirst = 64;       // pages
constexpr uint64_t kReadyFraction = 50;      // of all: 2 in a hundred

}  // namespace

Staging::~Staging() {
  give_back();
}

void Staging::give_back() {
  if (memory_ == nullptr) return;
  if (guarded_) {
    unmap_guarded(memory_, room_ * kPageBytes);
  } else {
    munmap(memory_, room_ * kPageBytes);
  }
}

bool Staging::make_room(uint64_t pages, bool shared) {
  const uint64_t unit = kHugePageBytes / kPageBytes;
  const uint64_t room = (pages + unit) / unit * unit;
  if (room <= room_ && shared == shared_) return true;
  if (room >= kZeroSlot) return false;
  const bool guarded = detects(AUXIN_CHECKPOINT_DETECT_OVERRUNS);
  void* memory =
      guarded ? map_guarded(room * kPageBytes, shared, "the staging memory of a state")
              : mmap(nullptr, room * kPageBytes, PROT_READ | PROT_WRITE,
                     MAP_ANONYMOUS | MAP_NORESERVE | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
  if (memory == nullptr || memory == MAP_FAILED) return false;
  if (used_ != 0) std::memcpy(memory, memory_, used_ * kPageBytes);
  give_back();
  guarded_ = guarded;
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
