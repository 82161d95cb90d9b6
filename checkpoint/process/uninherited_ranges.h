// SPDX-License-Identifier: Apache-2.0
//
// Memory that a forked child does not have, or has as zeros: the program asked for that by
// madvise (MADV_DONTFORK, MADV_WIPEONFORK).
//
// Raw system calls; fit for the time when all other threads are stopped.
#pragma once

#include <cstdint>

namespace auxin::checkpoint {

// One visit for each such mapping, in order of address. False: /proc/self/smaps can't be read.
bool for_each_uninherited_range(void (*visit)(uint64_t begin, uint64_t end, void* context),
                                void* context);

}  // namespace auxin::checkpoint
