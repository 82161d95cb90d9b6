// SPDX-License-Identifier: Apache-2.0
//
// Which pages go into a segment, and when they are copied.
//
//   base    stop: which pages there are, and tracking begins ─▶ they are copied while threads run
//   delta   what changed since the segment before
//   both    rounds of "what changed meanwhile", copied while threads run, until it is little
//           stop: the rest, into memory ─▶ threads run, and it goes into the file
//
// Where the kernel can't tell what changed while nobody looks, a forked child holds all of it and
// writes it (forked_writer.h); or everything is copied in the stop. Each segment is a base then.
//
// Raw system calls; the staging memory is a mapping without contents in images.
#pragma once

#include <cstdint>

#include "checkpoint/process/image_tables.h"
#include "checkpoint/process/segment_file.h"
#include "checkpoint/tracking/page_tracker.h"

namespace auxin::checkpoint {

class ImagePages {
 public:
  // Maps what it needs; `method` as it was asked for. Null: good; else why the method can't be had:
  // no other is taken in its place. Before threads are stopped; what it said first, it says again.
  const char* prepare(ImageTables* tables, TrackingMethod method);
  bool tracks() const { return choice_.method == TrackingMethod::kWpAsync; }
  bool forks() const { return choice_.method == TrackingMethod::kFork; }
  TrackingMethod method() const { return choice_.method; }
  // Descriptors that are ours, and no part of the image.
  bool owns(int fd) const;

  // All 0 or -errno. `tables`: its regions are those of now.
  long begin_base(ImageTables& tables);                      // threads stopped
  long copy_found(ImageTables& tables, SegmentFile& file);   // threads run
  long copy_changed(ImageTables& tables, SegmentFile& file, uint64_t* bytes);  // threads run
  long stage_rest(ImageTables& tables);                      // threads stopped
  long copy_staged(ImageTables& tables, SegmentFile& file);  // threads run
  // Without tracking: all pages there are, straight into the file.
  long copy_all(ImageTables& tables, SegmentFile& file);     // threads stopped
  // With a forked child: what it will not have is copied, the rest is noted; and in the child.
  long note_for_child(ImageTables& tables, SegmentFile& file);   // threads stopped
  long copy_in_child(ImageTables& tables, SegmentFile& file);

 private:
  struct Span { uint64_t begin, end; };
  struct Staged { uint64_t address, page_count, offset; bool empty; };

  struct Spans {
    Span* at;
    uint32_t count;
    bool add(uint64_t begin, uint64_t end);
    template <typename Visit>
    bool for_each_piece(uint64_t begin, uint64_t end, Visit visit) const;
  };

  long follow(const ImageTables& tables, bool anew);
  long note_own_pages(const ImageTables& tables);
  long copy_out(uint64_t begin, uint64_t end, ImageTables& tables, SegmentFile& file);

  PageTracker tracker_;
  MethodChoice choice_{TrackingMethod::kFull, nullptr, false};
  Span* spans_ = nullptr;        // [2][kMaxSpans]: what is tracked, and what is to be
  uint32_t span_count_ = 0;
  uint32_t current_ = 0;         // which half is tracked
  Span* found_ = nullptr;        // [kMaxFound]: runs of a base
  uint32_t found_count_ = 0;
  Staged* staged_ = nullptr;     // [kMaxFound]
  uint32_t staged_count_ = 0;
  char* staging_ = nullptr;
  uint64_t staging_used_ = 0;
};

}  // namespace auxin::checkpoint
