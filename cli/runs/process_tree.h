// SPDX-License-Identifier: Apache-2.0
//
// What a process and its descendants are doing, as /proc tells it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace auxin::cli {

// The process and all its descendants that live now.
std::vector<pid_t> process_tree(pid_t root);
// Has one of them a listening socket?
bool any_listens(const std::vector<pid_t>& pids);
// Processor time of all of them so far, in clock ticks.
uint64_t processor_time(const std::vector<pid_t>& pids);
// Does a thread of theirs run, or wait for a processor or a disk? On a busy host it may be long
// until that shows in processor_time().
bool any_wants_processor(const std::vector<pid_t>& pids);

}  // namespace auxin::cli
