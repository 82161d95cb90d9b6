// SPDX-License-Identifier: Apache-2.0
//
// A lock report as JSON. The keys are an interface: they may be added to, never renamed.
#pragma once

#include <nlohmann/json.hpp>

#include "analysis/locks/lock_report.h"

namespace auxin::analysis {

nlohmann::ordered_json to_json(const LockReport& report);

}  // namespace auxin::analysis
