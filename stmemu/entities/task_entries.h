// SPDX-License-Identifier: Apache-2.0
//
// The entry functions that this program has, by name (paper 001, §3.2.1: "a thread is restarted
// from the entry point of the task").
//
// Thread safety: any thread.
#pragma once

#include "auxin/stm_entities.h"

namespace auxin::stm {

// Null if there is none.
EntryFunction find_entry(const std::string& name);

// run_task in a memory that need not be the current one.
bool run_task_in(const Memory& memory, const std::string& name, uint64_t wait_us);

// Lets StableTask::should_stop say true in the calling thread, once `stop` does.
class StopWord {
 public:
  explicit StopWord(std::function<bool()> stop);
  ~StopWord();
  StopWord(const StopWord&) = delete;
  StopWord& operator=(const StopWord&) = delete;

 private:
  std::function<bool()> stop_;
};

}  // namespace auxin::stm
