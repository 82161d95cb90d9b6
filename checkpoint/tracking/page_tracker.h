// SPDX-License-Identifier: Apache-2.0
//
// Which pages of named ranges changed since the last look, by whichever method.
//
//   open   add add …   look → runs   look → runs   add, drop   look → runs   …   close
//
// A range that was just added is told whole. What is copied, by the visitor or after the look, is
// complete: a store that the copy may have missed is told by the next look. With no store between
// the look and the end of the copy (threads stopped, or the application's own pause) the copy is
// the memory at the look.
//
// Ranges may be mapped anew, moved away, unmapped or dropped (MADV_DONTNEED) between looks, without
// a word: what is mapped anew is told whole, what is no longer mapped is told as gone.
//
// A range of which more than a fifth changes from look to look is cheaper to copy whole than to
// track (a first store to a tracked page costs as much as copying five). It becomes *dense*: it is
// told whole, and only a sixty-fourth of it is tracked, until that sample changes little.
//
// Fit for a preload whose other threads are stopped: no memory is allocated after open() but by
// mmap, no lock is taken, no libc is used. Thread safety: one thread at a time.
#pragma once

#include <cstdint>

#include "checkpoint/tracking/fault_pages.h"
#include "checkpoint/tracking/page_run.h"
#include "checkpoint/tracking/range_table.h"
#include "checkpoint/tracking/tracking_method.h"
#include "checkpoint/tracking/written_pages.h"

namespace auxin::checkpoint {

enum class TrackingStatus : uint32_t {
  kOk = 0,
  kUnavailable,  // the method that was asked for does not work here; reason() says why
  kMisaligned,   // not whole pages, or empty
  kOverlap,      // with a range that is tracked already
  kNoRoom,       // more ranges than open() made room for
  kNoMemory,
};

struct TrackerOptions {
  TrackingMethod method = TrackingMethod::kAutomatic;
  bool adaptive = true;           // ranges may become dense
  uint32_t max_ranges = 1 << 16;  // 24 bytes of address space each
};

// What one look found.
struct LookReport {
  uint64_t changed_bytes;    // told as changed or absent
  uint64_t absent_bytes;     // of these, told as absent
  uint64_t gone_bytes;
  uint64_t tracked_bytes;    // of the ranges; the rest was told whole
  uint32_t fresh_ranges;     // told whole because they were added since the last look …
  uint32_t replaced_areas;   // … or mapped anew
  uint32_t dense_ranges;     // … or because most of them changes
  uint32_t untrackable_areas;  // … or the kernel does not track such memory
};

class PageTracker {
 public:
  PageTracker() = default;
  ~PageTracker() { close(); }
  PageTracker(const PageTracker&) = delete;
  PageTracker& operator=(const PageTracker&) = delete;

  [[nodiscard]] TrackingStatus open(const TrackerOptions& options);
  // Ranges are let go of: stores to them no longer fault.
  void close();
  bool is_open() const { return ranges_.capacity() != 0; }

  // Addresses are multiples of kPageBytes. `executable`: the memory's own protection is more than
  // reading and writing (method fault must know). Memory that can't be written needs no tracking.
  [[nodiscard]] TrackingStatus add(uint64_t begin, uint64_t end, bool executable = false);
  // Parts of ranges, or several, may be dropped at once; what is not tracked is left out.
  [[nodiscard]] TrackingStatus drop(uint64_t begin, uint64_t end);

  // Tells what changed since the last look, in ascending order, and begins anew.
  LookReport look(const RunVisitor& visitor);

  // As after add(): the next look tells everything. For memory that was filled from elsewhere, and
  // in a process that has this object from another one (fork, restore): there it is done by itself.
  void begin_anew();

  // Whether there may be a page in [begin, end) that was ever used; true where the method can't
  // tell.
  bool holds_pages(uint64_t begin, uint64_t end) {
    return !written_.valid() || written_.holds_pages(begin, end);
  }

  // kWpAsync, kFault, or kFull: kFork tracks nothing, everything may have changed.
  TrackingMethod method() const { return choice_.method; }
  const char* reason() const { return choice_.reason; }
  uint64_t tracked_range_count() const { return ranges_.count(); }
  // In order of address.
  void for_each_range(void (*visit)(const TrackedRange& range, void* context),
                      void* context) const {
    for (uint32_t i = 0; i < ranges_.count(); ++i) visit(ranges_[i], context);
  }
  // Descriptors that tracking needs, -1 if none: not to be closed by others.
  int userfault_descriptor() const { return written_.userfault_descriptor(); }
  int pagemap_descriptor() const { return written_.pagemap_descriptor(); }

 private:
  struct Look;  // one look's state

  void reopen_if_elsewhere();
  void lost();
  void look_at(TrackedRange& range, Look& look);
  void look_at_mapped(TrackedRange& range, uint64_t begin, uint64_t end, Look& look);
  void look_by_protection(uint64_t begin, uint64_t end, Look& look);
  void look_by_sample(TrackedRange& range, Look& look);
  void look_by_faults(const TrackedRange& range, uint64_t begin, uint64_t end, Look& look);
  void look_at_fresh(uint64_t begin, uint64_t end, Look& look);
  bool protect(uint64_t begin, uint64_t end, Look& look);
  void begin_dense(TrackedRange& range);

  RangeTable ranges_;
  WrittenPages written_;
  FaultPages fault_;
  MethodChoice choice_{TrackingMethod::kFull, "not open", false};
  bool adaptive_ = true;
  long process_ = 0;
};

}  // namespace auxin::checkpoint
