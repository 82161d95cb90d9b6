// SPDX-License-Identifier: Apache-2.0
//
// What the hooks count: synchronisation calls in total, those that reached a meta-object, and those
// that were ordered, by site class (a library and, where known, a join point). Beside them stands
// what the process was seen doing that is not supported.
//
// Each thread counts in a shard of its own, without atomics; a reader adds the shards up. A shard
// outlives its thread and is taken over, counts and all, by a later one. The block is one mapping
// named "auxin-counters" (a closed memfd), so that `auxin locks --pid` finds it in /proc/PID/maps
// and reads it from outside with process_vm_readv. The layout is versioned for that reader.
#pragma once

#include <atomic>
#include <cstdint>

#include "libmeta_os/unsupported_use.h"

namespace auxin::os {

inline constexpr unsigned kMaxSiteClasses = 256;   // class 0: not yet classified
inline constexpr unsigned kMaxShards = 256;        // further threads share the last shard
inline constexpr uint32_t kCounterVersion = 2;
inline constexpr uint64_t kCounterMagic = 0x3152544e43585541;  // "AUXCNTR1"

struct SiteClass {
  char library[64];     // soname or file name, NUL-terminated
  char join_point[64];  // name in the join-point map, or "" (none)
};

struct CounterRow {
  uint64_t total;
  uint64_t intercepted;
  uint64_t ordered;
};

struct CounterShard {
  std::atomic<uint32_t> in_use;  // kernel tid of the thread that has it, or 0
  uint32_t padding;
  uint64_t intercepted;          // of all rows: so an observer sees what became of one call
  uint64_t ordered;
  uint64_t padding_words[5];
  CounterRow rows[kMaxSiteClasses];
};

struct CounterBlock {
  uint64_t magic;
  uint32_t version;               // kCounterVersion
  uint32_t shard_count;           // kMaxShards
  std::atomic<uint32_t> class_count;
  uint32_t padding;
  std::atomic<uint64_t> requests;  // requestBeforeApplication events so far
  SiteClass classes[kMaxSiteClasses];
  CounterShard shards[kMaxShards];
  UseTable uses;                  // what this process does that is not supported
};

// The block of this process; made on first use. Never null, never fails (falls back to static
// memory, which readers from outside then do not find).
CounterBlock& counters();

// The calling thread's shard: null until it first counts, and again while the thread ends. For the
// hooks' fast path; everyone else uses shard().
extern thread_local constinit CounterShard* this_shard;

// Finds a shard for the calling thread. May be called in a hook: allocates nothing.
CounterShard& acquire_shard();

// The calling thread's shard.
inline CounterShard& shard() { return this_shard != nullptr ? *this_shard : acquire_shard(); }

// Counts a call that goes to a meta-object, and one that is ordered.
inline void count_intercepted(CounterShard& in, unsigned site_class) {
  ++in.rows[site_class].intercepted;
  ++in.intercepted;
}
inline void count_ordered(unsigned site_class) {
  CounterShard& in = shard();
  ++in.rows[site_class].ordered;
  ++in.ordered;
}

// The row of (library, join point), made if new; 0 if the table is full. May be called in a hook.
uint16_t site_class(const char* library, const char* join_point);

// In the child after fork: only the calling thread's shard stays in use. The counts start from what
// the parent's were.
void keep_only_this_shard();

// Sums over all shards into `rows[kMaxSiteClasses]`.
void sum_counters(CounterRow* rows);

}  // namespace auxin::os
