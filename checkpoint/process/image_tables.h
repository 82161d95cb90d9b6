// SPDX-License-Identifier: Apache-2.0
//
// A segment's tables while it is made: regions, files, their names, runs of pages.
//
// They lie in mappings of their own, which are not part of the image's contents, so that making an
// image does not change what it holds.
#pragma once

#include <cstddef>
#include <cstdint>

#include "checkpoint/process/image_format.h"

namespace auxin::checkpoint {

// In ImageRegion::file of memory whose file can't be mapped again: all of it is in the runs.
inline constexpr uint32_t kCopiedWhole = ~0u;

class ImageTables {
 public:
  // Maps them; false: no memory. Called once, before threads are stopped.
  bool prepare();

  // The address space as it is now. Null: good; else what can't be part of an image, or why not.
  const char* fill(ImageProcess* process);

  // A range that somebody else makes again (stable memory of a group). Before fill; at most 64.
  void leave_outside(uint64_t begin, uint64_t end);
  // A range whose contents nobody needs again; it is mapped again, empty.
  void leave_empty(uint64_t begin, uint64_t end);

  const ImageRegion* regions() const { return regions_; }
  const ImageFile* files() const { return files_; }
  const char* strings() const { return strings_; }
  const ImageRun* runs() const { return runs_; }
  uint32_t region_count() const { return region_count_; }
  uint32_t file_count() const { return file_count_; }
  uint32_t run_count() const { return run_count_; }
  uint32_t strings_size_bytes() const { return strings_size_bytes_; }
  // Runs of the segment that is being made. False: the table is full.
  // Whether a file is mapped shared and writable.
  bool shares(const char* path) const;
  // Begins another image: nothing is known of runs and files.
  void forget_runs() { run_count_ = file_count_ = 0; }
  bool add_run(uint64_t address, uint64_t page_count, uint64_t data_offset);
  bool add_empty_run(uint64_t address, uint64_t page_count);

  // Memory of a region as it is now, also where it is protected. 0 or -errno.
  long copy_memory(void* to, uint64_t address, uint64_t size_bytes) const;

  // Visits the parts of regions whose contents belong to the image, in order of address.
  void for_each_part(void (*visit)(uint64_t begin, uint64_t end, const ImageRegion&, void*),
                     void* context) const;

 private:
  struct Range { uint64_t begin, end; };
  static constexpr int kMaxRanges = 64;

  bool add(const struct MappedRange& range);
  bool add_file(const char* path, bool writable, uint32_t* index);
  bool among(const Range* ranges, int count, uint64_t begin, uint64_t end) const;
  void visit_part(uint64_t begin, uint64_t end, const ImageRegion& region,
                  void (*visit)(uint64_t, uint64_t, const ImageRegion&, void*),
                  void* context) const;

  ImageRegion* regions_ = nullptr;
  ImageFile* files_ = nullptr;
  char* strings_ = nullptr;
  ImageRun* runs_ = nullptr;
  uint32_t region_count_ = 0, file_count_ = 0, run_count_ = 0, strings_size_bytes_ = 0;
  uint32_t known_files_ = 0;   // of the last filling: the same ones come in the same order
  Range outside_[kMaxRanges] = {}, empty_[kMaxRanges] = {};
  int outside_count_ = 0, empty_count_ = 0;
  ImageProcess* process_ = nullptr;
  const char* problem_ = nullptr;
  char problem_text_[256] = "";
};

}  // namespace auxin::checkpoint
