// SPDX-License-Identifier: Apache-2.0
//
// What a Memory handle of <auxin/stm.h> stands for: an attached physical memory, and this program's
// policy. Shared by all handles, and by every thread that has run a transaction in it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "auxin/stm_types.h"
#include "stmemu/memory/physical_memory.h"

namespace auxin::stm {

class MemoryCore : public std::enable_shared_from_this<MemoryCore> {
 public:
  MemoryCore() = default;
  ~MemoryCore();
  MemoryCore(const MemoryCore&) = delete;
  MemoryCore& operator=(const MemoryCore&) = delete;

  PhysicalMemory physical;
  Policy policy = Policy::kAbort;
  std::vector<std::string> found;  // what recovery found when this process attached
  uint64_t forks = 0;              // fork_count() when it was attached
};

// How many forks lie between this process and its first ancestor that used the library. A memory
// that was attached before a fork is the parent's alone.
uint64_t fork_count();

}  // namespace auxin::stm
