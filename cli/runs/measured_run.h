// SPDX-License-Identifier: Apache-2.0
//
// The same load on a server in each form (analysis/locks/cost.h), round after round: natively, with
// the bare preload, as a group of one replica, and as one that orders every lock. The clients are
// timed by libauxin_round_trips.so (cli/round_trips/).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "analysis/locks/cost.h"
#include "cli/runs/server_run.h"
#include "stmemu/result.h"

namespace auxin::cli {

// `plan`: server and loads; its form is set here. `told` is called after each run with how many of
// how many are done. An error: a run that failed, with its form; nothing is measured then.
Result<std::vector<analysis::Round>> measure_forms(
    const ServerPlan& plan, uint32_t rounds, const std::function<void(uint32_t, uint32_t)>& told);

}  // namespace auxin::cli
