// SPDX-License-Identifier: Apache-2.0
//
// Calls that give each process a value of its own and that Auxin does not agree on: which of them
// the application's modules import.
//
// Thread safety: one thread.
#pragma once

#include <string>
#include <vector>

namespace auxin::analysis {

// Their names, sorted. `modules`: paths; what can't be read is skipped.
std::vector<std::string> imported_values(const std::vector<std::string>& modules);

}  // namespace auxin::analysis
