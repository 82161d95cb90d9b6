// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/image_tables.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "checkpoint/process/address_space.h"
#include "checkpoint/process/digest.h"
#include "libmeta_os/private_memory.h"
#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {
namespace {

using os::raw_syscall;

template <typename T>
bool map_table(T** table, size_t count, ImageTables* tables) {
  *table = static_cast<T*>(os::map_private(count * sizeof(T)));
  if (*table == nullptr) return false;
  const auto begin = reinterpret_cast<uint64_t>(*table);
  tables->leave_empty(begin, begin + count * sizeof(T));
  return true;
}

constexpr uint32_t kCopiedWhole = ~0u;  // in ImageRegion::file of memory

bool ends_with(const char* text, const char* end) {
  const size_t length = strlen(text), end_length = strlen(end);
  return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

}  // namespace

bool ImageTables::prepare() {
  return regions_ != nullptr ||
         (map_table(&regions_, kMaxImageRegions, this) &&
          map_table(&files_, kMaxImageFiles, this) &&
          map_table(&strings_, kMaxImageStringsBytes, this) &&
          map_table(&runs_, kMaxImageRuns, this));
}

void ImageTables::leave_outside(uint64_t begin, uint64_t end) {
  if (outside_count_ < kMaxRanges) outside_[outside_count_++] = {begin, end};
}

void ImageTables::leave_empty(uint64_t begin, uint64_t end) {
  if (empty_count_ < kMaxRanges) empty_[empty_count_++] = {begin, end};
}

bool ImageTables::among(const Range* ranges, int count, uint64_t begin, uint64_t end) const {
  for (int i = 0; i < count; ++i)
    if (begin < ranges[i].end && end > ranges[i].begin) return true;
  return false;
}

bool ImageTables::add_file(const char* path, bool writable, uint32_t* index) {
  for (*index = 0; *index < file_count_; ++*index) {
    if (strcmp(strings_ + files_[*index].path_offset, path) != 0) continue;
    if (writable) files_[*index].writable = 1;
    return true;
  }
  const size_t length = strlen(path) + 1;
  if (file_count_ == kMaxImageFiles || strings_size_bytes_ + length > kMaxImageStringsBytes) {
    problem_ = "it has mapped too many files";
    return false;
  }
  ImageFile& file = files_[file_count_++];
  file = ImageFile{};
  file.path_offset = strings_size_bytes_;
  file.writable = writable ? 1 : 0;
  memcpy(strings_ + strings_size_bytes_, path, length);
  strings_size_bytes_ += static_cast<uint32_t>(length);
  return digest_file(path, &file.size_bytes, &file.first_page_digest);
}

bool ImageTables::add(const MappedRange& range) {
  if (range.begin >= 0xffff800000000000ull) return true;  // [vsyscall]: the kernel's
  if (strcmp(range.name, "[vdso]") == 0) {
    process_->vdso_begin = range.begin;
    process_->vdso_end = range.end;
    return true;
  }
  if (strncmp(range.name, "[vvar", 5) == 0) {
    if (process_->vvar_begin == 0) process_->vvar_begin = range.begin;
    process_->vvar_end = range.end;
    return true;
  }
  if (region_count_ == kMaxImageRegions) {
    problem_ = "its memory has too many mappings";
    return false;
  }
  ImageRegion& region = regions_[region_count_++];
  region = ImageRegion{};
  region.begin = range.begin;
  region.end = range.end;
  region.protection = (range.readable ? PROT_READ : 0) | (range.writable ? PROT_WRITE : 0) |
                      (range.executable ? PROT_EXEC : 0);
  region.file_offset = range.file_offset;
  if (among(outside_, outside_count_, range.begin, range.end)) {
    region.kind = ImageRegion::kOutside;
    return true;
  }
  region.grows_down = strcmp(range.name, "[stack]") == 0 ? 1 : 0;
  const bool of_file = range.name[0] == '/' && range.inode != 0;
  region.kind = !of_file ? ImageRegion::kMemory
                         : range.shared ? ImageRegion::kSharedFile : ImageRegion::kFile;
  const bool deleted = ends_with(range.name, " (deleted)");
  if (of_file && !range.shared && strncmp(range.name, "/memfd:", 7) == 0) {
    region.kind = ImageRegion::kMemory;   // its file can't be mapped again: copied whole
    region.file = kCopiedWhole;
    return true;
  }
  if ((range.shared && !of_file) || (of_file && deleted)) {
    snprintf(problem_text_, sizeof problem_text_, "%s: %.150s (at %llx)",
             range.shared ? "it shares memory that has no file"
                          : "a file that it has mapped has been deleted",
             range.name, static_cast<unsigned long long>(range.begin));
    problem_ = problem_text_;
    return false;
  }
  if (!of_file) return true;
  const bool writes_file = range.shared && range.writable;
  if (add_file(range.name, writes_file, &region.file)) return true;
  if (problem_ == nullptr) {
    snprintf(problem_text_, sizeof problem_text_, "a file that it has mapped can't be read: %.180s",
             range.name);
    problem_ = problem_text_;
  }
  return false;
}

const char* ImageTables::fill(ImageProcess* process) {
  process_ = process;
  problem_ = nullptr;
  region_count_ = file_count_ = run_count_ = strings_size_bytes_ = 0;
  page_count_ = 0;
  const bool good = for_each_mapped_range(
      [](const MappedRange& range, void* self) {
        return static_cast<ImageTables*>(self)->add(range);
      },
      this);
  if (!good) return problem_ != nullptr ? problem_ : "/proc/self/maps can't be read";
  if (!add_runs()) return problem_ != nullptr ? problem_ : "/proc/self/pagemap can't be read";
  return nullptr;
}

bool ImageTables::add_runs() {
  for (uint32_t i = 0; i < region_count_; ++i) {
    const ImageRegion& region = regions_[i];
    if (region.kind == ImageRegion::kOutside || region.kind == ImageRegion::kSharedFile) continue;
    if (region.kind == ImageRegion::kMemory && region.file == kCopiedWhole) {
      add_run(region.begin, (region.end - region.begin) / kPageSizeBytes);
      continue;
    }
    if (!add_runs_of(region.begin, region.end, region.kind == ImageRegion::kFile)) return false;
  }
  return true;
}

void ImageTables::add_run(uint64_t address, uint64_t page_count) {
  if (run_count_ == kMaxImageRuns) {
    problem_ = "its memory is in too many pieces";
    return;
  }
  runs_[run_count_++] = {address, static_cast<uint32_t>(page_count), 0, 0};
  page_count_ += page_count;
}

// The kernel may have joined a range without contents with a neighbour that has some.
bool ImageTables::add_runs_of(uint64_t begin, uint64_t end, bool of_file) {
  for (int i = 0; i < empty_count_; ++i) {
    const Range& empty = empty_[i];
    if (begin >= empty.end || end <= empty.begin) continue;
    return (begin >= empty.begin || add_runs_of(begin, empty.begin, of_file)) &&
           (end <= empty.end || add_runs_of(empty.end, end, of_file));
  }
  const bool read = for_each_private_run(
      begin, end, of_file,
      [](uint64_t address, uint64_t page_count, void* context) {
        static_cast<ImageTables*>(context)->add_run(address, page_count);
      },
      this);
  return read && problem_ == nullptr;
}

bool ImageTables::readable(const ImageRun& run) const {
  uint32_t low = 0, high = region_count_;
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    if (regions_[middle].end <= run.address) low = middle + 1;
    else high = middle;
  }
  return low < region_count_ && (regions_[low].protection & PROT_READ) != 0;
}

void ImageTables::place_runs(uint64_t pages_offset) {
  for (uint32_t i = 0; i < run_count_; ++i) {
    runs_[i].data_offset = pages_offset;
    pages_offset += uint64_t{runs_[i].page_count} * kPageSizeBytes;
  }
}

}  // namespace auxin::checkpoint
