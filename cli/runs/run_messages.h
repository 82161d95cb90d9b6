// SPDX-License-Identifier: Apache-2.0
//
// What the commands that run a server say on standard error.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/runs/server_run.h"

namespace auxin::cli {

// "auxin: SENTENCE".
void complain(const std::string& sentence);
// How far a recording is; nothing where standard error is no terminal.
void tell_progress(uint64_t events, uint64_t requests, uint64_t trace_bytes);
// Says which loads failed, and how a server ended that ended by itself. True: none, it did not.
bool tell_failures(const std::vector<std::string>& loads, const RunResult& run);

}  // namespace auxin::cli
