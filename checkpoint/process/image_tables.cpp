// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/image_tables.h"

#include <errno.h>
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
  // Where nothing has been overwritten yet the path of last time stands at its place.
  if (*index < known_files_ && file.path_offset == strings_size_bytes_ &&
      strcmp(strings_ + strings_size_bytes_, path) == 0) {
    file.writable = writable ? 1 : 0;
    strings_size_bytes_ += static_cast<uint32_t>(length);
    return true;
  }
  known_files_ = 0;
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

bool ImageTables::shares(const char* path) const {
  for (uint32_t i = 0; i < file_count_; ++i)
    if (files_[i].writable != 0 && strcmp(strings_ + files_[i].path_offset, path) == 0) return true;
  return false;
}

const char* ImageTables::fill(ImageProcess* process) {
  process_ = process;
  process->vdso_begin = process->vdso_end = process->vvar_begin = process->vvar_end = 0;
  problem_ = nullptr;
  known_files_ = file_count_;
  region_count_ = file_count_ = strings_size_bytes_ = 0;
  const bool good = for_each_mapped_range(
      [](const MappedRange& range, void* self) {
        return static_cast<ImageTables*>(self)->add(range);
      },
      this);
  if (!good) return problem_ != nullptr ? problem_ : "/proc/self/maps can't be read";
  memset(strings_ + strings_size_bytes_, 0, 8);  // what the file is aligned with
  return nullptr;
}

bool ImageTables::add_run(uint64_t address, uint64_t page_count, uint64_t data_offset) {
  if (run_count_ == kMaxImageRuns) return false;
  if (run_count_ > 0) {
    ImageRun& last = runs_[run_count_ - 1];
    const uint64_t size = uint64_t{last.page_count} * kPageSizeBytes;
    if (last.empty == 0 && last.address + size == address &&
        last.data_offset + size == data_offset && last.page_count + page_count < UINT32_MAX) {
      last.page_count += static_cast<uint32_t>(page_count);
      return true;
    }
  }
  runs_[run_count_++] = {address, static_cast<uint32_t>(page_count), 0, data_offset};
  return true;
}

bool ImageTables::add_empty_run(uint64_t address, uint64_t page_count) {
  if (run_count_ == kMaxImageRuns) return false;
  runs_[run_count_++] = {address, static_cast<uint32_t>(page_count), 1, 0};
  return true;
}

long ImageTables::copy_memory(void* to, uint64_t address, uint64_t size_bytes) const {
  uint32_t low = 0, high = region_count_;
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    if (regions_[middle].end <= address) low = middle + 1;
    else high = middle;
  }
  if (low < region_count_ && (regions_[low].protection & PROT_READ) != 0 &&
      regions_[low].end - address >= size_bytes) {
    memcpy(to, reinterpret_cast<const void*>(address), size_bytes);
    return 0;
  }
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>("/proc/self/mem"),
                              O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fd;
  const long got = raw_syscall(SYS_pread64, fd, reinterpret_cast<long>(to),
                               static_cast<long>(size_bytes), static_cast<long>(address));
  raw_syscall(SYS_close, fd);
  return got == static_cast<long>(size_bytes) ? 0 : -EFAULT;
}

void ImageTables::for_each_part(void (*visit)(uint64_t, uint64_t, const ImageRegion&, void*),
                                void* context) const {
  for (uint32_t i = 0; i < region_count_; ++i) {
    const ImageRegion& region = regions_[i];
    if (region.kind == ImageRegion::kMemory || region.kind == ImageRegion::kFile)
      visit_part(region.begin, region.end, region, visit, context);
  }
}

// The kernel may have joined a range without contents with a neighbour that has some.
void ImageTables::visit_part(uint64_t begin, uint64_t end, const ImageRegion& region,
                             void (*visit)(uint64_t, uint64_t, const ImageRegion&, void*),
                             void* context) const {
  for (int i = 0; i < empty_count_; ++i) {
    const Range& empty = empty_[i];
    if (begin >= empty.end || end <= empty.begin) continue;
    if (begin < empty.begin) visit_part(begin, empty.begin, region, visit, context);
    if (end > empty.end) visit_part(empty.end, end, region, visit, context);
    return;
  }
  visit(begin, end, region, context);
}

}  // namespace auxin::checkpoint
