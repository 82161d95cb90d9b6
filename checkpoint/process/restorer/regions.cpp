// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/restorer/regions.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "checkpoint/process/restorer/freestanding.h"

namespace auxin::restorer {
namespace {

using os::raw_syscall;

constexpr uint32_t kWritable = PROT_READ | PROT_WRITE;

int open_mapped(const Segment& last, const ImageRegion& region) {
  const ImageFile& file = last.files[region.file];
  const bool writes = region.kind == ImageRegion::kSharedFile && file.writable != 0;
  const char* path = last.strings + file.path_offset;
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path),
                              (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC);
  if (fd < 0) {
    say({path, ": it was mapped and can't be opened any more"});
    end(Exit::kRefused);
  }
  return static_cast<int>(fd);
}

void protect(uint64_t begin, uint64_t end, uint32_t protection) {
  const long result = raw_syscall(SYS_mprotect, static_cast<long>(begin),
                                  static_cast<long>(end - begin), protection);
  if (result != 0) failed("memory of the image can't be protected as it was", result);
}

void map_part(const Segment& last, const ImageRegion& region, uint64_t begin, uint64_t end) {
  int flags = MAP_FIXED_NOREPLACE;
  int fd = -1;
  if (region.kind == ImageRegion::kMemory) {
    flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    if (region.grows_down != 0) flags |= MAP_GROWSDOWN;
  } else {
    fd = open_mapped(last, region);
    flags |= region.kind == ImageRegion::kSharedFile ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE;
  }
  const uint32_t protection =
      region.kind == ImageRegion::kSharedFile ? region.protection : kWritable;
  const uint64_t offset = region.file_offset + (begin - region.begin);
  const long result = raw_syscall(SYS_mmap, static_cast<long>(begin),
                                  static_cast<long>(end - begin), protection, flags, fd,
                                  static_cast<long>(offset));
  if (result != static_cast<long>(begin))
    failed("memory of the image can't be mapped at its old address", result);
  if (fd >= 0) raw_syscall(SYS_close, fd);
}

bool is_mapped(const ImageRegion& region) { return region.kind != ImageRegion::kOutside; }

// Whether the two are one memory where they overlap: what is there need not be mapped anew.
bool same_memory(const Segment& a, const ImageRegion& in_a, const Segment& b,
                 const ImageRegion& in_b) {
  if (in_a.kind != in_b.kind || !is_mapped(in_a)) return false;
  if (in_a.kind == ImageRegion::kMemory) return true;
  const ImageFile& file_a = a.files[in_a.file];
  const ImageFile& file_b = b.files[in_b.file];
  return in_a.begin - in_a.file_offset == in_b.begin - in_b.file_offset &&
         file_a.writable == file_b.writable &&
         strcmp(a.strings + file_a.path_offset, b.strings + file_b.path_offset) == 0;
}

// Each part of `region`, with the other segment's region that lies there, or null.
template <typename Visit>
void for_each_overlap(const ImageRegion& region, const Segment& other, Visit visit) {
  uint64_t at = region.begin;
  for (uint32_t i = region_at(other, at); at < region.end; ++i) {
    const bool more = i < other.header->region_count && other.regions[i].begin < region.end;
    const uint64_t gap_end = more ? other.regions[i].begin : region.end;
    if (at < gap_end) visit(at, gap_end, nullptr);
    if (!more) return;
    const uint64_t from = at < gap_end ? gap_end : at;
    at = other.regions[i].end < region.end ? other.regions[i].end : region.end;
    visit(from, at, &other.regions[i]);
  }
}

}  // namespace

uint32_t region_at(const Segment& last, uint64_t address) {
  uint32_t low = 0, high = last.header->region_count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (last.regions[middle].end <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}

void map_regions(const Segment& last) {
  for (uint32_t i = 0; i < last.header->region_count; ++i) {
    const ImageRegion& region = last.regions[i];
    if (is_mapped(region)) map_part(last, region, region.begin, region.end);
  }
}

void change_regions(const Segment& before, const Segment& now) {
  for (uint32_t i = 0; i < before.header->region_count; ++i) {
    const ImageRegion& old = before.regions[i];
    if (!is_mapped(old)) continue;
    for_each_overlap(old, now, [&](uint64_t begin, uint64_t end, const ImageRegion* region) {
      if (region == nullptr || !same_memory(before, old, now, *region))
        raw_syscall(SYS_munmap, static_cast<long>(begin), static_cast<long>(end - begin));
    });
  }
  for (uint32_t i = 0; i < now.header->region_count; ++i) {
    const ImageRegion& region = now.regions[i];
    if (!is_mapped(region)) continue;
    for_each_overlap(region, before, [&](uint64_t begin, uint64_t end, const ImageRegion* old) {
      if (old == nullptr || !same_memory(before, *old, now, region))
        map_part(now, region, begin, end);
      else if (region.kind == ImageRegion::kSharedFile && region.protection != old->protection)
        protect(begin, end, region.protection);
      else if (region.kind != ImageRegion::kSharedFile && old->protection != kWritable)
        protect(begin, end, kWritable);
    });
  }
}

void protect_regions(const Segment& last) {
  for (uint32_t i = 0; i < last.header->region_count; ++i) {
    const ImageRegion& region = last.regions[i];
    if (region.kind <= ImageRegion::kFile && region.protection != kWritable)
      protect(region.begin, region.end, region.protection);
  }
}

}  // namespace auxin::restorer
