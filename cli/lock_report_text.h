// SPDX-License-Identifier: Apache-2.0
//
// A lock report as tables for people.
#pragma once

#include <string>

#include "analysis/locks/lock_report.h"

namespace auxin::cli {

// `most_paths`: how many call paths to list; 0: all.
std::string to_text(const analysis::LockReport& report, size_t most_paths);

}  // namespace auxin::cli
