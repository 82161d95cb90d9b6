// SPDX-License-Identifier: Apache-2.0
//
// A process, told from a later one of the same number by when it started.
//
// Thread safety: any thread.
#pragma once

#include <cstdint>

namespace auxin::stm {

// In ticks since boot (/proc/PID/stat, field 22). 0: there is no such process, or it is a zombie.
uint64_t start_time_ticks(uint32_t process);

// Sends SIGKILL to the process if it is still the one that started then; never to another one.
// False: it is gone, or may not be signalled. That it is dead now is for its locks to say.
bool kill_process(uint32_t process, uint64_t started_ticks);

}  // namespace auxin::stm
