// SPDX-License-Identifier: Apache-2.0
//
// For whom a thread works: a stable task, whose environment was restored for it (paper 001,
// §3.2.1), or the node itself.
#pragma once

#include "auxin/stm.h"
#include "stmemu/interface/memory_core.h"

namespace auxin::stm {

struct Environment {
  uint64_t task = 0;               // its reference
  const MemoryCore* core = nullptr;
  Memory memory;                   // the task's own
};

// The calling thread's; null: the node.
const Environment* current_environment();
// While it stands, the calling thread works for the task.
class EnterEnvironment {
 public:
  explicit EnterEnvironment(const Environment& environment);
  ~EnterEnvironment();
  EnterEnvironment(const EnterEnvironment&) = delete;
  EnterEnvironment& operator=(const EnterEnvironment&) = delete;

 private:
  const Environment* outer_;
};

// Who the thread is in the memory `core`: a task's reference, or 0: the node. A task is nobody but
// the node in other memories.
uint64_t current_holder(const MemoryCore& core);

}  // namespace auxin::stm
