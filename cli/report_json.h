// SPDX-License-Identifier: Apache-2.0
//
// The reports as JSON. The keys are an interface: they may be added to, never renamed.
#pragma once

#include <nlohmann/json.hpp>

#include "cli/group_report.h"
#include "cli/lock_counts.h"

namespace auxin::cli {

using Json = nlohmann::ordered_json;

Json to_json(const GroupReport& report);
Json to_json(const LockCounts& counts);
// Sets `unsupported` (whole lines) and `unsupported_uses` (their parts).
void add_unsupported(Json& json, const std::vector<UnsupportedLine>& lines);

// Text of ours or of the server's, which need not be UTF-8: what is not is replaced.
std::string dump(const Json& json, int indent);

}  // namespace auxin::cli
