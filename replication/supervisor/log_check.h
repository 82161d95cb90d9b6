// SPDX-License-Identifier: Apache-2.0
//
// Whether the log of a group whose processes are all dead is whole.
//
// A replica that meets a damaged entry can only stop, and so would all others, again and again:
// the log is checked before any is started. What was never published is no damage: threads that
// were killed on their way leave holes, usually near the end.
//
// Thread safety: as GroupMemory; nobody may append meanwhile.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "replication/supervisor/group_memory.h"

namespace auxin::supervisor {

// Told now and then how many of all the entries have been checked.
using CheckProgress = std::function<void(uint64_t checked, uint64_t all)>;

inline constexpr std::chrono::milliseconds kTellCheckEvery{1000};

// Nothing, or a sentence that names the first entry that is damaged, or whose payload is. The log
// must reach back to its start.
std::string log_fault(const GroupMemory& group, const CheckProgress& tell,
                      std::chrono::milliseconds tell_every = kTellCheckEvery);

}  // namespace auxin::supervisor
