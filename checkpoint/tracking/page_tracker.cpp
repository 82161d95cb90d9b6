// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/page_tracker.h"

#include <errno.h>
#include <sys/mman.h>

#include "checkpoint/tracking/file_areas.h"
#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {
namespace {

// Below this a range never becomes dense: its sample would say nothing.
constexpr uint64_t kLeastDenseBytes = uint64_t{8} << 20;
// The sample: the first of every so many pieces.
constexpr uint64_t kSamplePieceBytes = uint64_t{64} << 10;
constexpr uint64_t kSampleStrideBytes = uint64_t{4} << 20;
// Changed bytes of a hundred at which a range becomes dense, and at which it ceases to be.
constexpr uint64_t kDensePercent = 20;
constexpr uint64_t kSparsePercent = 10;

// Whether all of [begin, end) is mapped. The call writes nothing back: it is asked for no more than
// what it checks first.
bool mapped(uint64_t begin, uint64_t end) {
  return os::raw_syscall(SYS_msync, static_cast<long>(begin), static_cast<long>(end - begin),
                         MS_ASYNC) != -ENOMEM;
}

// The first address from `begin` at which what is mapped begins or ends.
uint64_t end_of_alike(uint64_t begin, uint64_t end, bool is_mapped) {
  if (is_mapped) {
    uint64_t low = begin + kPageBytes, high = end;  // [begin, low) is mapped
    if (mapped(begin, end)) return end;
    while (low < high) {
      const uint64_t middle = low + (high - low) / 2 / kPageBytes * kPageBytes + kPageBytes;
      if (mapped(begin, middle)) {
        low = middle;
      } else {
        high = middle - kPageBytes;
      }
    }
    return low;
  }
  uint64_t at = begin + kPageBytes;
  while (at < end && !mapped(at, at + kPageBytes)) at += kPageBytes;
  return at;
}

}  // namespace

// Runs pass through here on their way to the visitor: joined, and counted.
struct PageTracker::Look {
  const RunVisitor& visitor;
  bool fresh = false;  // the range that is looked at
  LookReport report{};
  PageRun pending{0, 0, RunKind::kGone};
  FileAreas files{};

  void tell(uint64_t begin, uint64_t end, RunKind kind) {
    if (begin >= end) return;
    if (pending.end == begin && pending.kind == kind && pending.end != 0) {
      pending.end = end;
    } else {
      flush();
      pending = {begin, end, kind};
    }
    if (kind == RunKind::kGone) {
      report.gone_bytes += end - begin;
      return;
    }
    report.changed_bytes += end - begin;
    if (kind == RunKind::kAbsent) report.absent_bytes += end - begin;
  }
  // Pages that are not there: zeros, where no file is below.
  void tell_absent(uint64_t begin, uint64_t end) {
    while (begin < end) {
      const FileAreas::Area area = files.at(begin);
      const uint64_t stop = area.end < end ? area.end : end;
      tell(begin, stop, area.of_file ? RunKind::kChanged : RunKind::kAbsent);
      begin = stop;
    }
  }
  void flush() {
    if (pending.end != 0) visitor(pending);
    pending = {0, 0, RunKind::kGone};
  }
};

TrackingStatus PageTracker::open(const TrackerOptions& options) {
  close();
  choice_ = choose_method(options.method);
  if (!choice_.available) return TrackingStatus::kUnavailable;
  if (!ranges_.map(options.max_ranges)) return TrackingStatus::kNoMemory;
  adaptive_ = options.adaptive;
  process_ = os::raw_syscall(SYS_getpid);
  if (choice_.method == TrackingMethod::kFork) choice_.method = TrackingMethod::kFull;
  if (choice_.method == TrackingMethod::kWpAsync && written_.open() != 0) lost();
  if (choice_.method == TrackingMethod::kFault && !fault_.open()) {
    ranges_.unmap();
    choice_ = {TrackingMethod::kFault, "another tracker of this process has SIGSEGV", false};
    return TrackingStatus::kUnavailable;
  }
  return TrackingStatus::kOk;
}

void PageTracker::close() {
  if (!is_open()) return;
  reopen_if_elsewhere();
  written_.close();  // with the descriptor go all registrations
  if (fault_.valid()) {
    for (uint32_t i = 0; i < ranges_.count(); ++i) {
      fault_.release(ranges_[i].begin, ranges_[i].end, ranges_[i].executable);
    }
    fault_.close();
  }
  ranges_.unmap();
}

TrackingStatus PageTracker::add(uint64_t begin, uint64_t end, bool executable) {
  if (begin % kPageBytes != 0 || end % kPageBytes != 0 || begin >= end) {
    return TrackingStatus::kMisaligned;
  }
  switch (ranges_.add(begin, end, executable)) {
    case RangeTable::Change::kDone: return TrackingStatus::kOk;
    case RangeTable::Change::kOverlap: return TrackingStatus::kOverlap;
    case RangeTable::Change::kFull: break;
  }
  return TrackingStatus::kNoRoom;
}

TrackingStatus PageTracker::drop(uint64_t begin, uint64_t end) {
  if (begin % kPageBytes != 0 || end % kPageBytes != 0 || begin >= end) {
    return TrackingStatus::kMisaligned;
  }
  reopen_if_elsewhere();
  uint32_t index = ranges_.first_after(begin);
  for (; index < ranges_.count() && ranges_[index].begin < end; ++index) {
    const TrackedRange& range = ranges_[index];
    const uint64_t from = range.begin > begin ? range.begin : begin;
    const uint64_t to = range.end < end ? range.end : end;
    if (!range.fresh && written_.valid()) written_.release(from, to);
    if (fault_.valid()) fault_.release(from, to, range.executable);
  }
  return ranges_.remove(begin, end) == RangeTable::Change::kDone ? TrackingStatus::kOk
                                                                 : TrackingStatus::kNoRoom;
}

void PageTracker::begin_anew() {
  for (uint32_t i = 0; i < ranges_.count(); ++i) {
    TrackedRange& range = ranges_[i];
    if (!range.fresh && written_.valid()) written_.release(range.begin, range.end);
    range.fresh = true;
  }
}

void PageTracker::reopen_if_elsewhere() {
  const long process = os::raw_syscall(SYS_getpid);
  if (process == process_) return;
  process_ = process;
  written_.forget();
  begin_anew();
  if (choice_.method == TrackingMethod::kWpAsync && written_.open() != 0) lost();
  if (choice_.method == TrackingMethod::kFault && !fault_.take_over()) {
    choice_ = {TrackingMethod::kFull, "fault was lost: SIGSEGV can't be had again", true};
  }
}

// The descriptors no longer work: closed by someone, perhaps something else's by now.
void PageTracker::lost() {
  written_.forget();
  begin_anew();
  if (choice_.method != TrackingMethod::kWpAsync) return;
  if (written_.open() == 0) return;
  choice_ = {TrackingMethod::kFull, "wp-async was lost: its descriptors can't be opened again",
             true};
}

LookReport PageTracker::look(const RunVisitor& visitor) {
  reopen_if_elsewhere();
  if (fault_.valid()) fault_.begin_look();
  Look look{visitor};
  for (uint32_t i = 0; i < ranges_.count(); ++i) look_at(ranges_[i], look);
  look.flush();
  return look.report;
}

void PageTracker::look_at(TrackedRange& range, Look& look) {
  if (range.fresh) ++look.report.fresh_ranges;
  const uint64_t changed_before = look.report.changed_bytes;
  const bool was_whole = range.fresh || range.dense;
  look.fresh = range.fresh;
  range.fresh = false;  // lost() sets it again
  if (range.dense) ++look.report.dense_ranges;
  if (mapped(range.begin, range.end)) {
    look_at_mapped(range, range.begin, range.end, look);
  } else {
    bool is_mapped = mapped(range.begin, range.begin + kPageBytes);
    for (uint64_t at = range.begin; at < range.end; is_mapped = !is_mapped) {
      const uint64_t end = end_of_alike(at, range.end, is_mapped);
      if (is_mapped) {
        look_at_mapped(range, at, end, look);
      } else {
        look.tell(at, end, RunKind::kGone);
      }
      at = end;
    }
  }
  const uint64_t changed_bytes = look.report.changed_bytes - changed_before;
  if (adaptive_ && !was_whole && !range.fresh && choice_.method == TrackingMethod::kWpAsync &&
      range.bytes() >= kLeastDenseBytes &&
      changed_bytes * 100 > range.bytes() * kDensePercent) {
    begin_dense(range);
  }
}

void PageTracker::look_at_mapped(TrackedRange& range, uint64_t begin, uint64_t end, Look& look) {
  if (choice_.method == TrackingMethod::kFull) {
    look.tell(begin, end, RunKind::kChanged);
  } else if (choice_.method == TrackingMethod::kFault) {
    look_by_faults(range, begin, end, look);
  } else if (look.fresh) {
    look_at_fresh(begin, end, look);
  } else if (range.dense && begin == range.begin && end == range.end) {
    look_by_sample(range, look);
    look.tell(begin, end, RunKind::kChanged);
  } else {
    range.dense = false;  // a part of it is gone: it is not what it was
    look_by_protection(begin, end, look);
  }
}

void PageTracker::look_by_faults(const TrackedRange& range, uint64_t begin, uint64_t end,
                                 Look& look) {
  const RunVisitor tell{&look, [](void* to, const PageRun& run) {
                          static_cast<Look*>(to)->tell(run.begin, run.end, run.kind);
                        }};
  if (!look.fresh && fault_.look(begin, end, range.executable, &look.report.replaced_areas, tell)) {
    look.report.tracked_bytes += end - begin;
    return;
  }
  if (!fault_.protect(begin, end, range.executable)) ++look.report.untrackable_areas;
  look.tell(begin, end, RunKind::kChanged);
}

void PageTracker::look_at_fresh(uint64_t begin, uint64_t end, Look& look) {
  struct Told {
    Look& look;
    uint64_t to;
  } told{look, begin};
  const RunVisitor tell{&told, [](void* context, const PageRun& run) {
                          auto& self = *static_cast<Told*>(context);
                          if (run.kind == RunKind::kAbsent) {
                            self.look.tell_absent(run.begin, run.end);
                          } else {
                            self.look.tell(run.begin, run.end, run.kind);
                          }
                          self.to = run.end;
                        }};
  const int error = written_.protect_and_tell(begin, end, tell);
  if (error == 0) return;
  if (error == EBADF || error == ENOTTY) {
    lost();
  } else {
    ++look.report.untrackable_areas;
  }
  look.tell(told.to, end, RunKind::kChanged);
}

bool PageTracker::protect(uint64_t begin, uint64_t end, Look& look) {
  const int error = written_.protect(begin, end);
  if (error == 0) return true;
  if (error == EBADF || error == ENOTTY) {
    lost();
  } else {
    ++look.report.untrackable_areas;
  }
  return false;
}

void PageTracker::look_by_protection(uint64_t begin, uint64_t end, Look& look) {
  struct Walk {
    PageTracker& tracker;
    Look& look;
    uint64_t at;
    bool works = true;

    void written_until(uint64_t to) {
      if (at >= to || !works) return;
      const RunVisitor tell{this, [](void* self, const PageRun& run) {
                              Walk& walk = *static_cast<Walk*>(self);
                              walk.look.tell(run.begin, run.end, RunKind::kChanged);
                              walk.at = run.end;
                            }};
      works = tracker.written_.look(at, to, tell) == 0;
      if (works) at = to;
    }
  } walk{*this, look, begin};
  const RunVisitor whole{&walk, [](void* self, const PageRun& area) {
                           Walk& of = *static_cast<Walk*>(self);
                           of.written_until(area.begin);
                           if (!of.works) return;
                           if (of.tracker.protect(area.begin, area.end, of.look)) {
                             ++of.look.report.replaced_areas;
                           }
                           of.look.tell(area.begin, area.end, RunKind::kChanged);
                           of.at = area.end;
                         }};
  if (written_.unprotected_areas(begin, end, whole) != 0) walk.works = false;
  walk.written_until(end);
  if (walk.works) {
    look.report.tracked_bytes += end - begin;
    return;
  }
  look.tell(walk.at, end, RunKind::kChanged);  // nothing more can be known of the rest
  lost();
}

void PageTracker::look_by_sample(TrackedRange& range, Look& look) {
  uint64_t sample_bytes = 0, written_bytes = 0;
  const RunVisitor add{&written_bytes, [](void* sum, const PageRun& run) {
                         *static_cast<uint64_t*>(sum) += run.bytes();
                       }};
  for (uint64_t at = range.begin; at < range.end; at += kSampleStrideBytes) {
    const uint64_t end = range.end - at < kSamplePieceBytes ? range.end : at + kSamplePieceBytes;
    if (written_.look(at, end, add) != 0) return lost();
    sample_bytes += end - at;
  }
  if (written_bytes * 100 >= sample_bytes * kSparsePercent) return;
  range.dense = false;
  protect(range.begin, range.end, look);
}

// Takes the protection off again but where the sample is, so that stores no longer fault.
void PageTracker::begin_dense(TrackedRange& range) {
  for (uint64_t at = range.begin; at < range.end; at += kSampleStrideBytes) {
    const uint64_t from = at + kSamplePieceBytes;
    const uint64_t to =
        range.end - at < kSampleStrideBytes ? range.end : at + kSampleStrideBytes;
    if (from < to && written_.unprotect(from, to) != 0) return;
  }
  range.dense = true;
}

}  // namespace auxin::checkpoint
