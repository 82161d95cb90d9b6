// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/image_pages.h"

#include <errno.h>
#include <string.h>

#include "checkpoint/process/address_space.h"
#include "checkpoint/process/uninherited_ranges.h"
#include "libmeta_os/private_memory.h"
#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {
namespace {

constexpr uint32_t kMaxSpans = kMaxImageRegions;
constexpr uint32_t kMaxFound = kMaxImageRuns;
constexpr uint64_t kLargeBytes = 2 << 20;  // as much as one page table maps
constexpr uint64_t kStagingKeptBytes = 2 << 20;
constexpr uint64_t kStagingSizeBytes = uint64_t{4} << 30;
constexpr const char* kNoMemory = "no memory for the image's tables";

template <typename T>
bool map_scratch(T** memory, uint64_t size_bytes, ImageTables* tables) {
  *memory = static_cast<T*>(os::map_private(size_bytes));
  if (*memory == nullptr) return false;
  const auto begin = reinterpret_cast<uint64_t>(*memory);
  tables->leave_empty(begin, begin + size_bytes);
  return true;
}

}  // namespace

const char* ImagePages::prepare(ImageTables* tables, TrackingMethod method) {
  if (spans_ != nullptr) return choice_.available ? nullptr : choice_.reason;
  if (!map_scratch(&found_, kMaxFound * sizeof(Span), tables) ||
      !map_scratch(&staged_, kMaxFound * sizeof(Staged), tables) ||
      !map_scratch(&staging_, kStagingSizeBytes, tables))
    return kNoMemory;
  // As the tracker's own ranges, part of the image: in a restored process both still agree.
  spans_ = static_cast<Span*>(os::map_private(2 * kMaxSpans * sizeof(Span)));
  if (spans_ == nullptr) return kNoMemory;
  choice_ = method == TrackingMethod::kFault
                ? MethodChoice{method, "method fault is not for whole processes: system calls that "
                                       "write to protected memory would fail", false}
                : choose_method(method);
  if (choice_.available && tracks()) {
    TrackerOptions options;
    options.method = choice_.method;
    options.adaptive = false;
    options.max_ranges = kMaxSpans;
    if (tracker_.open(options) != TrackingStatus::kOk)
      choice_ = {choice_.method, tracker_.reason(), false};
  }
  return choice_.available ? nullptr : choice_.reason;
}

bool ImagePages::owns(int fd) const {
  return tracks() &&
         (fd == tracker_.userfault_descriptor() || fd == tracker_.pagemap_descriptor());
}

// Appends [begin, end) to the spans; false: there are too many.
bool ImagePages::Spans::add(uint64_t begin, uint64_t end) {
  if (count > 0 && at[count - 1].end == begin) {
    at[count - 1].end = end;
    return true;
  }
  if (count == kMaxSpans) return false;
  at[count++] = {begin, end};
  return true;
}

// Each piece of [begin, end): whether it lies in one of the spans. False: visit said so.
template <typename Visit>
bool ImagePages::Spans::for_each_piece(uint64_t begin, uint64_t end, Visit visit) const {
  uint32_t low = 0, high = count;
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    if (at[middle].end <= begin) low = middle + 1;
    else high = middle;
  }
  for (; begin < end; ++low) {
    const bool more = low < count && at[low].begin < end;
    const uint64_t gap_end = more ? at[low].begin : end;
    if (begin < gap_end && !visit(begin, gap_end, false)) return false;
    if (!more) return true;
    if (begin < gap_end) begin = gap_end;
    const uint64_t stop = at[low].end < end ? at[low].end : end;
    if (!visit(begin, stop, true)) return false;
    begin = stop;
  }
  return true;
}

// The tracked ranges become the parts of the regions of now.
//
// But not what nobody can have used: large parts without any access, of which malloc reserves
// 64 MiB for each thread's heap. The kernel would keep a mark for each page that is not there, and
// pass by all of them at each look. What has been tracked stays so until the next base.
long ImagePages::follow(const ImageTables& tables, bool anew) {
  const Spans before{spans_ + current_ * kMaxSpans, span_count_};
  struct Context {
    ImagePages* self;
    Spans now;
    const Spans tracked;   // what stays
    bool good;
  } context{this, {spans_ + (1 - current_) * kMaxSpans, 0},
            {before.at, anew ? 0 : before.count}, true};
  tables.for_each_part([](uint64_t begin, uint64_t end, const ImageRegion& region, void* to) {
    auto& all = *static_cast<Context*>(to);
    const bool reserved = region.kind == ImageRegion::kMemory && region.protection == 0 &&
                          end - begin >= kLargeBytes;
    all.good = all.good && (!reserved ? all.now.add(begin, end)
                                      : all.tracked.for_each_piece(begin, end, [&](
                                            uint64_t from, uint64_t until, bool tracked) {
                                          return (!tracked &&
                                                  !all.self->tracker_.holds_pages(from, until)) ||
                                                 all.now.add(from, until);
                                        }));
  }, &context);
  if (!context.good) return -E2BIG;
  // What one has and the other has not.
  const auto difference = [](const Spans& a, const Spans& b, auto visit) {
    for (uint32_t i = 0; i < a.count; ++i)
      if (!b.for_each_piece(a.at[i].begin, a.at[i].end,
                            [&](uint64_t begin, uint64_t end, bool both) {
                              return both || visit(begin, end) == TrackingStatus::kOk;
                            }))
        return false;
    return true;
  };
  const bool good =
      difference(before, context.now,
                 [this](uint64_t begin, uint64_t end) { return tracker_.drop(begin, end); }) &&
      difference(context.now, before,
                 [this](uint64_t begin, uint64_t end) { return tracker_.add(begin, end); });
  current_ = 1 - current_;
  span_count_ = context.now.count;
  return good ? 0 : -ENOMEM;
}

// Runs of pages that are there and do not come from a file.
long ImagePages::note_own_pages(const ImageTables& tables) {
  struct Context {
    ImagePages* self;
    long error;
  } context{this, 0};
  found_count_ = 0;
  tables.for_each_part([](uint64_t begin, uint64_t end, const ImageRegion& region, void* to) {
    auto& all = *static_cast<Context*>(to);
    if (all.error != 0) return;
    const bool whole = region.kind == ImageRegion::kMemory && region.file == kCopiedWhole;
    const auto note = [](uint64_t address, uint64_t page_count, void* into) {
      auto& where = *static_cast<Context*>(into);
      if (where.self->found_count_ == kMaxFound) {
        where.error = -E2BIG;
        return;
      }
      where.self->found_[where.self->found_count_++] = {address,
                                                        address + page_count * kPageSizeBytes};
    };
    if (whole) {
      note(begin, (end - begin) / kPageSizeBytes, to);
    } else if (!for_each_private_run(begin, end, region.kind == ImageRegion::kFile, note, to)) {
      all.error = -EIO;
    }
  }, &context);
  return context.error;
}

long ImagePages::begin_base(ImageTables& tables) {
  if (const long error = follow(tables, true); error != 0) return error;
  tracker_.begin_anew();  // before: a protected page looks as if it were there
  if (const long error = note_own_pages(tables); error != 0) return error;
  // From here on changes are told; what there is has been noted.
  tracker_.look({nullptr, [](void*, const PageRun&) {}});
  return 0;
}

long ImagePages::copy_found(ImageTables& tables, SegmentFile& file) {
  for (uint32_t i = 0; i < found_count_; ++i) {
    const Span& run = found_[i];
    const long error =
        file.put_pages(tables, run.begin, (run.end - run.begin) / kPageSizeBytes);
    if (error != 0) return error;
  }
  return 0;
}

long ImagePages::copy_changed(ImageTables& tables, SegmentFile& file, uint64_t* bytes) {
  struct Context {
    ImagePages* self;
    ImageTables& tables;
    SegmentFile& file;
    long error;
    uint64_t bytes;
  } context{this, tables, file, 0, 0};
  if (const long error = follow(tables, false); error != 0) return error;
  tracker_.look({&context, [](void* to, const PageRun& run) {
    auto& all = *static_cast<Context*>(to);
    if (all.error != 0 || run.kind == RunKind::kGone) return;
    const uint64_t pages = run.bytes() / kPageSizeBytes;
    if (run.kind == RunKind::kAbsent) {
      if (!all.tables.add_empty_run(run.begin, pages)) all.error = -E2BIG;
      return;
    }
    all.bytes += run.bytes();
    all.error = all.file.put_pages(all.tables, run.begin, pages);
  }});
  *bytes = context.bytes;
  return context.error;
}

long ImagePages::stage_rest(ImageTables& tables) {
  staged_count_ = 0;
  staging_used_ = 0;
  if (const long error = follow(tables, false); error != 0) return error;
  struct Context {
    ImagePages* self;
    const ImageTables& tables;
    long error;
  } context{this, tables, 0};
  tracker_.look({&context, [](void* to, const PageRun& run) {
    auto& all = *static_cast<Context*>(to);
    ImagePages& self = *all.self;
    if (all.error != 0 || run.kind == RunKind::kGone) return;
    const bool empty = run.kind == RunKind::kAbsent;
    if (self.staged_count_ == kMaxFound ||
        (!empty && self.staging_used_ + run.bytes() > kStagingSizeBytes)) {
      all.error = -E2BIG;
      return;
    }
    self.staged_[self.staged_count_++] = {run.begin, run.bytes() / kPageSizeBytes,
                                          self.staging_used_, empty};
    if (empty) return;
    all.error = all.tables.copy_memory(self.staging_ + self.staging_used_, run.begin, run.bytes());
    self.staging_used_ += run.bytes();
  }});
  return context.error;
}

long ImagePages::copy_staged(ImageTables& tables, SegmentFile& file) {
  for (uint32_t i = 0; i < staged_count_; ++i) {
    const Staged& run = staged_[i];
    if (run.empty) {
      if (!tables.add_empty_run(run.address, run.page_count)) return -E2BIG;
    } else if (const long error = file.put_pages(tables, run.address, run.page_count,
                                                 staging_ + run.offset);
               error != 0) {
      return error;
    }
  }
  // The memory is given back: it would be as large as the process's changes ever were. But what is
  // used each time stays, for the next stop not to wait for it.
  if (staging_used_ > kStagingKeptBytes)
    os::raw_syscall(SYS_madvise, reinterpret_cast<long>(staging_ + kStagingKeptBytes),
                    static_cast<long>(staging_used_ - kStagingKeptBytes), 4 /* MADV_DONTNEED */);
  return 0;
}

long ImagePages::copy_all(ImageTables& tables, SegmentFile& file) {
  if (const long error = note_own_pages(tables); error != 0) return error;
  return copy_found(tables, file);
}

// Copies what lies in [begin, end) now, and takes it out of the runs.
long ImagePages::copy_out(uint64_t begin, uint64_t end, ImageTables& tables, SegmentFile& file) {
  const uint32_t count = found_count_;
  for (uint32_t i = 0; i < count; ++i) {
    Span& run = found_[i];
    const uint64_t from = run.begin > begin ? run.begin : begin;
    const uint64_t to = run.end < end ? run.end : end;
    if (from >= to) continue;
    if (const long error = file.put_pages(tables, from, (to - from) / kPageSizeBytes); error != 0)
      return error;
    if (to < run.end) {
      if (found_count_ == kMaxFound) return -E2BIG;
      found_[found_count_++] = {to, run.end};
    }
    run.end = from;
  }
  return 0;
}

long ImagePages::note_for_child(ImageTables& tables, SegmentFile& file) {
  struct Context {
    ImagePages* self;
    ImageTables& tables;
    SegmentFile& file;
    long error;
  } context{this, tables, file, note_own_pages(tables)};
  if (context.error != 0) return context.error;
  const bool read = for_each_uninherited_range(
      [](uint64_t begin, uint64_t end, void* to) {
        auto& all = *static_cast<Context*>(to);
        if (all.error == 0) all.error = all.self->copy_out(begin, end, all.tables, all.file);
      },
      &context);
  return read ? context.error : -EIO;
}

long ImagePages::copy_in_child(ImageTables& tables, SegmentFile& file) {
  uint64_t expected_bytes = file.size_bytes();
  for (uint32_t i = 0; i < found_count_; ++i) expected_bytes += found_[i].end - found_[i].begin;
  const long error = copy_found(tables, file);
  if (error != 0) return error;
  // A page that the child has not got would be a hole in the image.
  return file.size_bytes() == expected_bytes ? 0 : -EFAULT;
}

}  // namespace auxin::checkpoint
