// SPDX-License-Identifier: Apache-2.0
//
// Which pages were written, by userfaultfd's asynchronous write protection and PAGEMAP_SCAN: the
// first store to a page faults in the kernel, which takes the protection off and goes on. No
// signal, no other thread; about a microsecond a page.
//
// The kernel's rules that this rests on (measured, Linux 6.18):
//  - A scan is fast only if it asks for exactly the category WRITTEN and returns exactly that.
//  - The scan's own check for areas that are not registered must not be used: it fails in the
//    middle, after it has protected pages again, and what it had found is lost. So areas are
//    checked by a scan of their own first, which looks at no page (protectable()).
//  - Pages that were never populated carry a marker in the page table, so a range is protected as
//    a whole once. A page that is dropped (MADV_DONTNEED) loses its marker and counts as written.
//  - A marker looks like a swapped page to every later scan: absent pages can be told from others
//    before the first protection only.
//  - An area that is mapped anew, or moved, has lost its registration.
//
// Thread safety: one thread at a time; the tracked memory may be written by others meanwhile: such
// a store is in this look if it came before the page was protected, else in the next.
#pragma once

#include <cstdint>

#include "checkpoint/tracking/page_run.h"

namespace auxin::checkpoint {

class WrittenPages {
 public:
  // 0, or an errno: the kernel has no such thing, or refuses it.
  int open();
  // Tracked memory is let go of.
  void close();
  // In a child after fork, or a process that was restored with this object in its memory: the
  // descriptors are another process's. They are forgotten, not closed.
  void forget() { userfault_ = pagemap_ = -1; }
  bool valid() const { return userfault_ >= 0; }
  int userfault_descriptor() const { return userfault_; }
  int pagemap_descriptor() const { return pagemap_; }

  // Registers [begin, end) and protects every page, there or not. 0, or an errno.
  int protect(uint64_t begin, uint64_t end);
  // The same, and visits what is there, which is protected in one step with being told; the rest is
  // kAbsent. Only where nothing was protected before.
  int protect_and_tell(uint64_t begin, uint64_t end, const RunVisitor& visitor);
  // Takes the protection off, not the registration: every page counts as written. 0, or an errno.
  int unprotect(uint64_t begin, uint64_t end);
  // Takes protection and registration off; stores no longer fault. Unmapped parts don't matter.
  void release(uint64_t begin, uint64_t end);
  // Visits the written pages and protects them again. 0, or an errno.
  int look(uint64_t begin, uint64_t end, const RunVisitor& visitor);
  // Whether there may be a page in it that was ever used. Fast where there is none.
  bool holds_pages(uint64_t begin, uint64_t end);
  // Visits what is mapped and not registered (replaced since). 0, or an errno.
  int unprotected_areas(uint64_t begin, uint64_t end, const RunVisitor& visitor);

 private:
  int enrol(uint64_t begin, uint64_t end);
  int set_protection(uint64_t begin, uint64_t end, uint64_t mode);
  int scan(uint64_t begin, uint64_t end, uint64_t flags, uint64_t inverted, uint64_t mask,
           uint64_t any_of, uint64_t returned, const RunVisitor& visitor);

  int userfault_ = -1;
  int pagemap_ = -1;
};

}  // namespace auxin::checkpoint
