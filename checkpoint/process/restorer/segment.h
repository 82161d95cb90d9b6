// SPDX-License-Identifier: Apache-2.0
//
// One segment of an image as the restorer sees it: nothing in it is believed before it is checked.
#pragma once

#include "checkpoint/process/image_format.h"

namespace auxin::restorer {

using checkpoint::CommitRecord;
using checkpoint::ImageFile;
using checkpoint::ImageRegion;
using checkpoint::ImageRun;
using checkpoint::SegmentHeader;

struct Segment {
  const char* path = nullptr;
  int fd = -1;
  const SegmentHeader* header = nullptr;   // mapped, with all tables
  const CommitRecord* commit = nullptr;
  const ImageRegion* regions = nullptr;
  const ImageFile* files = nullptr;
  const ImageRun* runs = nullptr;
  const char* strings = nullptr;
  uint64_t mapped_begin = 0, mapped_size_bytes = 0;
};

// Opens and maps the tables at `address`; checks owner, commit record, digest, every offset and
// number. Ends the program with a sentence if anything is wrong. `previous`: the one before it in
// the chain, or null.
Segment open_segment(const char* path, uint64_t address, const Segment* previous);

void close_segment(Segment& segment);

}  // namespace auxin::restorer
