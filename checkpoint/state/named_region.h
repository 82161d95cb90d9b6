// SPDX-License-Identifier: Apache-2.0
//
// One part of a process's memory that it has given a name, and what is staged of it.
#pragma once

#include <cstdint>
#include <cstring>

#include "checkpoint/detection/memory_access.h"
#include "checkpoint/state/mapped_array.h"
#include "checkpoint/state/staging.h"
#include "checkpoint/tracking/page_run.h"

namespace auxin::checkpoint {

// Of a page, as it was in the last message; a page of which nothing is known has zeros.
struct PageDigest {
  uint64_t low, high;
  friend bool operator==(const PageDigest&, const PageDigest&) = default;
};
PageDigest digest_of_page(const void* page);
PageDigest digest_of_zeros();

struct NamedRegion {
  uint64_t id = 0;
  uint64_t address = 0, size_bytes = 0;
  bool announced = false;         // receivers know it …
  uint64_t announced_bytes = 0;   // … with this size
  MappedArray<Slot> slots;        // one for each page that it touches
  MappedArray<PageDigest> digests;  // the same, where pages are compared; else empty

  uint64_t end() const { return address + size_bytes; }
  uint64_t first_page() const { return address / kPageBytes * kPageBytes; }
  uint64_t page_end() const { return (end() + kPageBytes - 1) / kPageBytes * kPageBytes; }
  uint64_t page_count() const { return (page_end() - first_page()) / kPageBytes; }
  // Whether all of the page is the region's: the first and the last may have a neighbour's bytes.
  bool has_all_of(uint64_t index) const {
    const uint64_t page = first_page() + index * kPageBytes;
    return page >= address && page + kPageBytes <= end();
  }
  // The page, with zeros for a neighbour's bytes: in its place, or else in `scratch`, a page.
  // `carefully`: always there, and null if its memory can't be read.
  const char* page_contents(uint64_t index, char* scratch, bool carefully = false) const {
    const uint64_t page = first_page() + index * kPageBytes;
    if (!carefully && has_all_of(index)) return reinterpret_cast<const char*>(page);
    const uint64_t from = page > address ? page : address;
    const uint64_t to = page + kPageBytes < end() ? page + kPageBytes : end();
    std::memset(scratch, 0, kPageBytes);
    if (carefully) return read_memory(scratch + (from - page), from, to - from) ? scratch : nullptr;
    std::memcpy(scratch + (from - page), reinterpret_cast<const char*>(from), to - from);
    return scratch;
  }
};

}  // namespace auxin::checkpoint
