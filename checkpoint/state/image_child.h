// SPDX-License-Identifier: Apache-2.0
//
// A forked child that holds the image of its parent: the kernel copies pages as the parent changes
// them. The child compares each page with its digest in the last message, and copies what differs
// into staging memory that both share; then it ends.
//
// It runs in a process that may have many threads, so the child is made by the system call itself
// and uses nothing but memory that is there: no allocation, no lock, no libc but memcpy. It closes
// its copies of the parent's descriptors at once.
#pragma once

#include <cstdint>

#include "checkpoint/state/mapped_array.h"
#include "checkpoint/state/named_region.h"
#include "checkpoint/state/staging.h"

namespace auxin::checkpoint {

class ImageChild {
 public:
  // Pages of one region to look at; kAbsent and kGone are zeros.
  struct Task {
    NamedRegion* region;
    uint64_t first, count;
    RunKind kind;
  };

  ImageChild() = default;
  ImageChild(const ImageChild&) = delete;
  ImageChild& operator=(const ImageChild&) = delete;
  ~ImageChild() { kill_and_wait(); }

  [[nodiscard]] bool open() { return shared_.resize(1, true); }
  // Forks. 0, or an errno. `staging`, slots and digests are shared memory.
  // `carefully`: memory that can't be read ends the child's work, and unreadable() says where.
  int start(const Task* tasks, uint64_t count, Staging& staging, bool carefully = false);
  bool running() const { return process_ > 0; }
  // Waits until it has done all. False: it died before. *used: how many slots are taken.
  bool wait(uint64_t* used);
  uint64_t unreadable() const { return shared_[0].unreadable; }  // an address; 0: all was read
  void kill_and_wait();

 private:
  struct Shared {
    uint64_t used;
    uint32_t done;
    uint64_t unreadable;
  };
  [[noreturn]] void run(const Task* tasks, uint64_t count, Staging& staging, bool carefully);

  MappedArray<Shared> shared_;
  long process_ = 0;
};

// Compares page `index` of the region, whose contents are at `page` (null: zeros), with what the
// last message had. True: it differs; its digest is noted.
bool page_differs(NamedRegion& region, uint64_t index, const void* page);

}  // namespace auxin::checkpoint
