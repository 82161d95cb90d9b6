// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/restorer/segment.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "checkpoint/process/digest.h"
#include "checkpoint/process/restorer/freestanding.h"
#include "checkpoint/process/restorer/own_place.h"

namespace auxin::restorer {
namespace {

using checkpoint::kPageSizeBytes;
using os::raw_syscall;

constexpr uint64_t kHighestAddress = 0x7ffffffff000;

[[noreturn]] void damaged(const Segment& segment, const char* what) {
  say({segment.path, ": damaged image: ", what});
  end(Exit::kDamaged);
}

[[noreturn]] void refused(const Segment& segment, const char* what) {
  say({segment.path, ": ", what});
  end(Exit::kRefused);
}

bool aligned(uint64_t number) { return number % kPageSizeBytes == 0; }

// [offset, offset + count × size) lies before `limit`.
bool fits(uint64_t offset, uint64_t count, uint64_t size, uint64_t limit) {
  return offset <= limit && count <= (limit - offset) / size;
}

// The commit record is at the very end: a file that was cut short has none.
void check_end(const Segment& segment, uint64_t commit_offset) {
  const CommitRecord& c = *segment.commit;
  if (commit_offset % 8 != 0 ||
      memcmp(c.magic, checkpoint::kCommitMagic, sizeof c.magic) != 0 ||
      c.digest != checkpoint::digest(&c, offsetof(CommitRecord, digest)))
    damaged(segment, "it is cut short, or was never finished");
  if (!aligned(c.header_offset) || c.header_offset > commit_offset ||
      commit_offset - c.header_offset < sizeof(SegmentHeader))
    damaged(segment, "its commit record makes no sense");
}

void check_header(const Segment& segment, uint64_t file_size) {
  const SegmentHeader& h = *segment.header;
  if (memcmp(h.magic, checkpoint::kImageMagic, sizeof h.magic) != 0)
    damaged(segment, "it does not begin like one");
  if (h.version != checkpoint::kImageVersion || h.header_size_bytes != sizeof h)
    refused(segment, "the image was made by another version of Auxin");
  const uint64_t header_offset = segment.commit->header_offset;
  if (h.header_offset != header_offset || h.commit_offset < header_offset + sizeof h ||
      file_size - h.commit_offset != sizeof(CommitRecord))
    damaged(segment, "it is cut short, or was never finished");
}

void check_commit(const Segment& segment) {
  const SegmentHeader& h = *segment.header;
  const CommitRecord& c = *segment.commit;
  if (c.image_id != h.image_id || c.sequence != h.sequence)
    damaged(segment, "its commit record belongs to another segment");
  if (c.tables_digest != checkpoint::digest(segment.header, h.commit_offset - h.header_offset))
    damaged(segment, "its tables have changed since it was written");
}

void check_tables(const Segment& segment) {
  const SegmentHeader& h = *segment.header;
  if (h.region_count > checkpoint::kMaxImageRegions || h.file_count > checkpoint::kMaxImageFiles ||
      h.run_count > checkpoint::kMaxImageRuns ||
      !fits(h.regions_offset, h.region_count, sizeof(ImageRegion), h.commit_offset) ||
      !fits(h.files_offset, h.file_count, sizeof(ImageFile), h.commit_offset) ||
      !fits(h.runs_offset, h.run_count, sizeof(ImageRun), h.commit_offset) ||
      !fits(h.strings_offset, h.strings_size_bytes, 1, h.commit_offset) ||
      h.regions_offset < h.header_offset || h.files_offset < h.header_offset ||
      h.runs_offset < h.header_offset || h.strings_offset < h.header_offset ||
      h.regions_offset % 8 != 0 || h.files_offset % 8 != 0 || h.runs_offset % 8 != 0 ||
      h.region_count == 0)
    damaged(segment, "its tables lie outside it");
  if (h.strings_size_bytes > 0 && segment.strings[h.strings_size_bytes - 1] != '\0')
    damaged(segment, "its names have no end");
  for (uint32_t i = 0; i < h.file_count; ++i)
    if (segment.files[i].path_offset >= h.strings_size_bytes)
      damaged(segment, "a file has no name");
}

void check_regions(const Segment& segment) {
  const SegmentHeader& h = *segment.header;
  uint64_t below = 65536;
  for (uint32_t i = 0; i < h.region_count; ++i) {
    const ImageRegion& region = segment.regions[i];
    if (!aligned(region.begin) || !aligned(region.end) || region.begin < below ||
        region.end <= region.begin || region.end > kHighestAddress)
      damaged(segment, "its regions are out of order");
    below = region.end;
    const bool of_file =
        region.kind == ImageRegion::kFile || region.kind == ImageRegion::kSharedFile;
    if (region.kind > ImageRegion::kOutside || (of_file && region.file >= h.file_count) ||
        (region.protection & ~7u) != 0 || !aligned(region.file_offset))
      damaged(segment, "a region is described wrongly");
    if (region.begin < kOwnEnd && region.end > kOwnBegin)
      refused(segment, "the process had memory where auxin-restore lies");
  }
}

// A standby looks at it, and marks that it waits.
void check_owner_word(const Segment& segment) {
  const SegmentHeader& h = *segment.header;
  const uint64_t word = h.process.owner_word;
  if (word == 0) return;
  for (uint32_t i = 0; i < h.region_count; ++i) {
    const ImageRegion& region = segment.regions[i];
    if (word < region.begin || word >= region.end) continue;
    if (word % 4 == 0 && region.kind == ImageRegion::kSharedFile &&
        segment.files[region.file].writable != 0 && (region.protection & PROT_WRITE) != 0)
      return;
  }
  damaged(segment, "the word of its owner is not in memory that it shares");
}

// Contents lie in the file one behind the other, in the order of the runs. Where they belong, and
// whether to the memory at all, is looked at when they are put there.
void check_runs(const Segment& segment) {
  const SegmentHeader& h = *segment.header;
  uint64_t data = 0;
  for (uint32_t i = 0; i < h.run_count; ++i) {
    const ImageRun& run = segment.runs[i];
    const uint64_t size = uint64_t{run.page_count} * kPageSizeBytes;
    if (!aligned(run.address) || run.page_count == 0 || run.empty > 1 ||
        run.address >= kHighestAddress || kHighestAddress - run.address < size)
      damaged(segment, "a run of pages lies outside the memory");
    if (run.empty != 0) continue;
    if (run.data_offset != data || size > h.header_offset - data)
      damaged(segment, "a run of pages lies outside the file");
    data += size;
  }
  if (data != h.header_offset) damaged(segment, "pages are missing");
}

void check_chain(const Segment& segment, const Segment* previous) {
  const SegmentHeader& h = *segment.header;
  if (previous == nullptr) {
    if (h.sequence != 0) refused(segment, "it is not the first segment of its image");
    return;
  }
  if (h.image_id != previous->header->image_id ||
      h.sequence != previous->header->sequence + 1 ||
      h.previous_digest != previous->commit->digest)
    refused(segment, "it does not follow the segment before it");
}

}  // namespace

Segment open_segment(const char* path, uint64_t address, const Segment* previous) {
  Segment segment;
  segment.path = path;
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path),
                              O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) refused(segment, "it can't be opened");
  segment.fd = static_cast<int>(fd);
  struct stat about{};
  raw_syscall(SYS_fstat, fd, reinterpret_cast<long>(&about));
  const auto user = static_cast<uid_t>(raw_syscall(SYS_geteuid));
  if (!S_ISREG(about.st_mode) || (about.st_uid != user && about.st_uid != 0) ||
      (about.st_mode & 022) != 0)
    refused(segment, "others could have changed it: it must be this user's own, not writable by "
                     "anybody else");
  const auto size = static_cast<uint64_t>(about.st_size);
  if (size < sizeof(SegmentHeader) + sizeof(CommitRecord))
    damaged(segment, "it is cut short, or was never finished");
  const long mapped = raw_syscall(SYS_mmap, static_cast<long>(address), static_cast<long>(size),
                                  PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0);
  if (mapped != static_cast<long>(address)) refused(segment, "it can't be mapped");
  segment.mapped_begin = address;
  segment.mapped_size_bytes = (size + kPageSizeBytes - 1) / kPageSizeBytes * kPageSizeBytes;
  const uint64_t commit_offset = size - sizeof(CommitRecord);
  segment.commit = reinterpret_cast<const CommitRecord*>(address + commit_offset);
  check_end(segment, commit_offset);
  segment.header = reinterpret_cast<const SegmentHeader*>(address + segment.commit->header_offset);
  check_header(segment, size);
  check_commit(segment);
  const SegmentHeader& h = *segment.header;
  segment.regions = reinterpret_cast<const ImageRegion*>(address + h.regions_offset);
  segment.files = reinterpret_cast<const ImageFile*>(address + h.files_offset);
  segment.runs = reinterpret_cast<const ImageRun*>(address + h.runs_offset);
  segment.strings = reinterpret_cast<const char*>(address + h.strings_offset);
  check_tables(segment);
  check_regions(segment);
  check_owner_word(segment);
  check_runs(segment);
  check_chain(segment, previous);
  return segment;
}

void close_segment(Segment& segment) {
  raw_syscall(SYS_close, segment.fd);
  raw_syscall(SYS_munmap, static_cast<long>(segment.mapped_begin),
              static_cast<long>(segment.mapped_size_bytes));
}

}  // namespace auxin::restorer
