// SPDX-License-Identifier: Apache-2.0
//
// A cost report as a table for people.
#pragma once

#include <string>

#include "analysis/locks/cost.h"

namespace auxin::cli {

std::string to_text(const analysis::CostReport& report);

}  // namespace auxin::cli
