// SPDX-License-Identifier: Apache-2.0
//
// Snapshots: the memory of the objects that join points are passed with, and what it points to, so
// that the command can find out where a middleware keeps what a binding needs ([offsets] of a map).
// Only while `auxin discover --write-map` looks for them.
//
// A snapshot has the object itself, what its words point to, and what the words there point to. All
// is read by the kernel (process_vm_readv on this very process), so a word that is no pointer does
// no harm. A file is a FileHeader and then records; one that ends early has whole records up to
// there.
//
// Thread safety: any thread; where two come at once, one goes without.
#pragma once

#include <cstdint>

#include "metamarkers/interception.h"

namespace auxin::recording {

inline constexpr uint64_t kSnapshotMagic = 0x3150414e53585541;  // "AUXSNAP1"
inline constexpr uint32_t kSnapshotVersion = 1;
inline constexpr uint32_t kObjectBytes = 1024;    // of the object itself, at most
inline constexpr uint32_t kPointedBefore = 32;    // bytes in front of what a word points to
inline constexpr uint32_t kPointedBytes = 288;    // with these
inline constexpr uint32_t kFurtherBytes = 64;     // of what is pointed to from there
inline constexpr uint32_t kMaxSnapshots = 96;     // of each join point
inline constexpr uint32_t kMaxSnapshotBytes = 256 * 1024;

struct SnapshotFileHeader {
  uint64_t magic;
  uint32_t version;
  int32_t pid;
};
static_assert(sizeof(SnapshotFileHeader) == 16);

struct SnapshotHeader {
  uint32_t size_bytes;     // of the record, with this
  uint32_t tid;
  uint64_t clock;          // as the region's
  uint64_t object;         // address
  uint64_t dispatched;     // argument of the innermost dispatcher; 0: none
  uint16_t left;           // 1: on leaving the join point, 0: on entering
  uint16_t block_count;
  uint32_t padding;
  char join_point[40];
};
static_assert(sizeof(SnapshotHeader) == 80);

// Followed by `size_bytes` bytes, and zeros up to a multiple of 8.
struct SnapshotBlock {
  uint64_t address;
  uint32_t size_bytes;
  uint32_t level;          // 0: the object, 1: what it points to, 2: what that points to
};
static_assert(sizeof(SnapshotBlock) == 16);

// Snapshots are written to the file from now on. False: it can't be made.
bool begin_snapshots(const char* path, uint64_t (*clock)());
// The watch's two events (markers::Watch).
void snapshot_on_entering(const markers::JoinPoint& join_point, uint16_t index,
                          const markers::Arguments& arguments);
void snapshot_on_leaving(const markers::JoinPoint& join_point, uint16_t index);

}  // namespace auxin::recording
