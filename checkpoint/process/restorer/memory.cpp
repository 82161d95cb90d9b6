// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/restorer/memory.h"

#include <errno.h>
#include <linux/prctl.h>
#include <string.h>
#include <sys/mman.h>

#define XXH_INLINE_ALL
#define XXH_NO_STDLIB
#include <xxhash.h>

#include "checkpoint/process/address_space.h"
#include "checkpoint/process/restorer/freestanding.h"
#include "checkpoint/process/restorer/own_place.h"
#include "checkpoint/process/restorer/regions.h"

namespace auxin::restorer {
namespace {

using checkpoint::kPageSizeBytes;
using checkpoint::MappedRange;
using os::raw_syscall;

constexpr uint64_t kChunkSizeBytes = 256 * 1024;  // stays in a processor's own cache
alignas(64) XXH3_state_t digest_state;
alignas(4096) char chunk[kChunkSizeBytes];

struct Own {
  MappedRange ranges[64];
  char kernels[64];    // 1: [vdso] or one of [vvar…]
  int count = 0;
  uint64_t vdso_begin = 0;
  uint64_t kernels_begin = ~0ull;  // the lowest of those
};

bool note_own(const MappedRange& range, void* context) {
  auto& own = *static_cast<Own*>(context);
  if (range.begin >= kOwnBegin && range.end <= kOwnEnd) return true;
  if (range.begin >= 0xffff800000000000ull) return true;
  if (own.count == 64) return false;
  const bool vdso = strcmp(range.name, "[vdso]") == 0;
  if (vdso) own.vdso_begin = range.begin;
  const bool kernels = vdso || strncmp(range.name, "[vvar", 5) == 0;
  if (kernels && range.begin < own.kernels_begin) own.kernels_begin = range.begin;
  own.kernels[own.count] = kernels ? 1 : 0;
  own.ranges[own.count++] = range;
  return true;
}

void move(uint64_t from, uint64_t to, uint64_t size) {
  const long result = raw_syscall(SYS_mremap, static_cast<long>(from), static_cast<long>(size),
                                  static_cast<long>(size), MREMAP_MAYMOVE | MREMAP_FIXED,
                                  static_cast<long>(to));
  if (result != static_cast<long>(to)) failed("the vdso can't be moved", result);
}

[[noreturn]] void pages_changed(const Segment& segment) {
  say({segment.path, ": damaged image: its pages have changed since it was written"});
  end(Exit::kDamaged);
}

uint64_t chunk_at(uint64_t left) { return left < kChunkSizeBytes ? left : kChunkSizeBytes; }

void read_exactly(const Segment& segment, uint64_t to, uint64_t size, uint64_t offset) {
  while (size > 0) {
    const long got = raw_syscall(SYS_pread64, segment.fd, static_cast<long>(to),
                                 static_cast<long>(size), static_cast<long>(offset));
    if (got <= 0) failed("the image can't be read", got);
    to += static_cast<uint64_t>(got);
    offset += static_cast<uint64_t>(got);
    size -= static_cast<uint64_t>(got);
  }
}

}  // namespace

void leave_own_memory(const checkpoint::ImageProcess& process) {
  static Own own;
  if (!checkpoint::for_each_mapped_range(note_own, &own)) failed("/proc/self/maps", -EIO);
  const auto each_of_kernels = [&](auto visit) {
    for (int i = 0; i < own.count && process.vdso_begin != 0; ++i)
      if (own.kernels[i] != 0) visit(own.ranges[i]);
  };
  // By way of a place that is nobody's: the old and the new one may overlap.
  const auto on_its_way = [&](const MappedRange& range) {
    return kMovingBegin + (range.begin - own.kernels_begin);
  };
  each_of_kernels([&](const MappedRange& range) {
    move(range.begin, on_its_way(range), range.end - range.begin);
  });
  for (int i = 0; i < own.count; ++i)
    if (own.kernels[i] == 0)
      raw_syscall(SYS_munmap, static_cast<long>(own.ranges[i].begin),
                  static_cast<long>(own.ranges[i].end - own.ranges[i].begin));
  each_of_kernels([&](const MappedRange& range) {
    move(on_its_way(range), process.vdso_begin + (range.begin - own.vdso_begin),
         range.end - range.begin);
  });
}

void fill_from(const Segment& segment, const Segment& last) {
  XXH3_64bits_reset(&digest_state);
  for (uint32_t i = 0; i < segment.header->run_count; ++i) {
    const ImageRun& run = segment.runs[i];
    const uint64_t run_end = run.address + uint64_t{run.page_count} * kPageSizeBytes;
    for (uint64_t address = run.address; address < run_end;) {
      const uint32_t at = region_at(last, address);
      // The part up to the region's end, or up to the next region.
      const bool inside = at < last.header->region_count && last.regions[at].begin <= address;
      uint64_t end_of_part = run_end;
      if (at < last.header->region_count) {
        const uint64_t border = inside ? last.regions[at].end : last.regions[at].begin;
        if (border < end_of_part) end_of_part = border;
      }
      const bool wanted = inside && last.regions[at].kind <= ImageRegion::kFile;
      if (run.empty != 0) {
        if (wanted)
          raw_syscall(SYS_madvise, static_cast<long>(address),
                      static_cast<long>(end_of_part - address), MADV_DONTNEED);
        address = end_of_part;
        continue;
      }
      const uint64_t size = chunk_at(end_of_part - address);
      const uint64_t to = wanted ? address : reinterpret_cast<uint64_t>(chunk);
      read_exactly(segment, to, size, run.data_offset + (address - run.address));
      XXH3_64bits_update(&digest_state, reinterpret_cast<const void*>(to), size);
      address += size;
    }
  }
  if (XXH3_64bits_digest(&digest_state) != segment.commit->pages_digest) pages_changed(segment);
}

void check_pages(const Segment& segment) {
  const auto* pages = reinterpret_cast<const void*>(segment.mapped_begin);
  if (XXH3_64bits(pages, segment.header->header_offset) != segment.commit->pages_digest)
    pages_changed(segment);
}

void tell_kernel(const Segment& last) {
  const checkpoint::ImageProcess& process = last.header->process;
  prctl_mm_map map{};
  map.start_code = process.start_code;
  map.end_code = process.end_code;
  map.start_data = process.start_data;
  map.end_data = process.end_data;
  map.start_brk = process.start_brk;
  map.brk = process.brk;
  map.start_stack = process.start_stack;
  map.arg_start = process.arg_start;
  map.arg_end = process.arg_end;
  map.env_start = process.env_start;
  map.env_end = process.env_end;
  static uint64_t auxv[128];
  memcpy(auxv, process.auxv, sizeof auxv);
  map.auxv = reinterpret_cast<__u64*>(auxv);
  map.auxv_size = static_cast<uint32_t>(
      process.auxv_size_bytes <= sizeof auxv ? process.auxv_size_bytes : sizeof auxv);
  map.exe_fd = static_cast<uint32_t>(-1);
  // A kernel without it: the heap grows by mappings, and ps shows this program's arguments.
  raw_syscall(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, reinterpret_cast<long>(&map), sizeof map);
}

}  // namespace auxin::restorer
