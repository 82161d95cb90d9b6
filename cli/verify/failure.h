// SPDX-License-Identifier: Apache-2.0
//
// What a failed rehearsal reported, as values that outlive its process and its report.
#pragma once

#include "cli/verify/base_run.h"
#include "cli/verify/verify_report.h"

namespace auxin::cli {

Failure failure_of(const Rehearsed& rehearsed, const BaseRun& base);

}  // namespace auxin::cli
