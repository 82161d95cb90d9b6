// SPDX-License-Identifier: Apache-2.0
//
// A lock report as a page: the comparison, one request through the layers, the tree of call paths
// as a flame graph, tables.
#pragma once

#include <string>

#include "analysis/locks/cost.h"
#include "analysis/locks/lock_report.h"

namespace auxin::cli {

// `cost`: null: it was not measured.
std::string lock_page(const analysis::LockReport& report, const analysis::CostReport* cost);

}  // namespace auxin::cli
