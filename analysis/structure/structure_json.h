// SPDX-License-Identifier: Apache-2.0
//
// A structure as JSON: what the reader of one translation unit writes for the command.
//
// Thread safety: functions without state.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "analysis/structure/structure.h"
#include "stmemu/result.h"

namespace auxin::analysis {

nlohmann::ordered_json to_json(const Structure& structure);

// An error says what is missing or of another type.
Result<Structure> parse_structure(const std::string& text);

}  // namespace auxin::analysis
