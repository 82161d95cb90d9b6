// SPDX-License-Identifier: Apache-2.0
//
// The reports as tables for people.
#pragma once

#include <string>

#include "cli/group_report.h"
#include "cli/lock_counts.h"

namespace auxin::cli {

// `promotions`: how many of the latest to list.
std::string to_text(const GroupReport& report, size_t promotions);
std::string to_text(const LockCounts& counts, const std::string& title);

}  // namespace auxin::cli
