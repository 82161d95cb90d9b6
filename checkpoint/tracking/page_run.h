// SPDX-License-Identifier: Apache-2.0
//
// What a look at tracked memory tells: runs of pages, in ascending order.
#pragma once

#include <cstdint>

namespace auxin::checkpoint {

inline constexpr uint64_t kPageBytes = 4096;

enum class RunKind : uint32_t {
  kChanged = 0,  // may differ from what it was at the last look: to be copied
  kAbsent = 1,   // the same, and no page is there, nor a file below: it reads as zeros
  kGone = 2,     // nothing is mapped here any more: not to be read
};

struct PageRun {
  uint64_t begin, end;  // addresses, multiples of kPageBytes
  RunKind kind;
  uint64_t bytes() const { return end - begin; }
};

// Called for each run. It runs wherever the look runs: also while other threads are stopped.
struct RunVisitor {
  void* context;
  void (*visit)(void* context, const PageRun& run);
  void operator()(const PageRun& run) const { visit(context, run); }
};

}  // namespace auxin::checkpoint
