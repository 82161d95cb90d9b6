// SPDX-License-Identifier: Apache-2.0
//
// Divergence: this follower does something else than the leader did. It says what, leaves the group
// at once and is restarted; the group goes on without it (DESIGN 4.9).
#pragma once

#include <cstdint>

namespace auxin::replication {

// Formats like printf into the replica's message, adds the calling thread's activity, and ends the
// process. Callable anywhere in the preload, with any of its locks held.
[[noreturn]] __attribute__((format(printf, 1, 2))) void diverge(const char* format, ...);

}  // namespace auxin::replication
