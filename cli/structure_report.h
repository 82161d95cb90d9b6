// SPDX-License-Identifier: Apache-2.0
//
// The structure of a source tree, read for `auxin discover --sources` and told as text.
#pragma once

#include <string>
#include <vector>

#include "analysis/structure/structure.h"
#include "stmemu/result.h"

namespace auxin::cli {

// Says on standard error how far it is, and what could not be read.
Result<analysis::Structure> structure_of(const std::string& database,
                                         const std::vector<std::string>& under);

std::string to_text(const analysis::Structure& structure, const std::string& database);

}  // namespace auxin::cli
