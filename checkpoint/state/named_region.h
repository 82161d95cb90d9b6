// SPDX-License-Identifier: Apache-2.0
//
// One part of a process's memory that it has given a name, and what is staged of it.
#pragma once

#include <cstdint>

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
};

}  // namespace auxin::checkpoint
