// SPDX-License-Identifier: Apache-2.0
//
// Records the leader of a running group for a while, without it being started anew.
//
// The command writes its wish into the group's words; the leader looks at them every 10 ms. If the
// command is killed the recording ends by itself.
#pragma once

#include <string>

#include "stmemu/result.h"

namespace auxin::cli {

// Blocks for about `seconds`, less if the user interrupts. `directory`: the group's. An error: it
// does not run, another recording is on, or this user may not.
Result<uint64_t> record_group(const std::string& directory, double seconds,
                              const std::string& trace_path);

}  // namespace auxin::cli
