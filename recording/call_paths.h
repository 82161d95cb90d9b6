// SPDX-License-Identifier: Apache-2.0
//
// Call paths as numbers, cheaply.
//
// Walking a stack costs microseconds; looking whether it is still the stack that was walked before
// costs nanoseconds. So each thread remembers, by call site and stack pointer, which words of the
// stack held which return addresses; if they all still do, the path is the same one. What is left
// to be wrong: a frame whose size varies at one call site (alloca) with the old words still in
// place; then the path of the earlier call is given.
//
// Thread safety: find() on any thread, with a cache of the thread's own. No malloc.
#pragma once

#include <cstdint>

#include "recording/region.h"

namespace auxin::recording {

// A path with where its return addresses are, relative to the stack pointer at the call.
struct PathShape {
  uint32_t number;
  uint32_t word_count;
  struct Word {
    uint64_t offset;
    uint64_t return_address;
  } words[];
};

// Several paths may lead to one call site at one depth of the stack: the latest ones are kept.
inline constexpr uint32_t kPathSets = 256;
inline constexpr uint32_t kPathsInSet = 6;

struct PathCache {
  struct Entry {
    uint64_t site;
    uintptr_t frame;
    const PathShape* shape;
  };
  struct Set {
    Entry entries[kPathsInSet];
    uint32_t next;  // to be replaced
  } sets[kPathSets];
};

// The number of the calling thread's path, of a call at `site` made with the stack pointer `frame`
// (os::ObservedCall). 0: no room for another path, or no unwinder. At the meta level only.
uint32_t find_path(Region& region, PathCache& cache, const void* site, uintptr_t frame);

}  // namespace auxin::recording
