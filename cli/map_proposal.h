// SPDX-License-Identifier: Apache-2.0
//
// `auxin discover --write-map`: the join-point map that recordings propose, to a file, and what was
// found and what not, for people.
#pragma once

#include <string>

#include "analysis/proposal/proposal.h"
#include "cli/report_json.h"

namespace auxin::cli {

std::string to_text(const analysis::Proposal& proposal, const std::string& written_to);
Json to_json(const analysis::Proposal& proposal);

}  // namespace auxin::cli
