// SPDX-License-Identifier: Apache-2.0
//
// The structure of a source tree, read for `auxin discover --sources` and told as text.
#pragma once

#include <string>
#include <vector>

#include "analysis/structure/join.h"
#include "analysis/structure/structure.h"
#include "cli/report_json.h"
#include "stmemu/result.h"

namespace auxin::cli {

// Says on standard error how far it is, and what could not be read.
Result<analysis::Structure> structure_of(const std::string& database,
                                         const std::vector<std::string>& under);

std::string to_text(const analysis::Structure& structure, const std::string& database);

// What the sources say beside a recording: how much of them it saw, and what it did not.
std::string to_text(const analysis::StructureJoin& join);
Json to_json(const analysis::StructureJoin& join);

}  // namespace auxin::cli
