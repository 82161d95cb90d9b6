// SPDX-License-Identifier: Apache-2.0
//
// Functions that no recording shows, because they make no call that is recorded, or because nothing
// came by them: found by what their names say. The weakest evidence there is, and said so.
#pragma once

#include <vector>

#include "analysis/proposal/layers.h"
#include "analysis/proposal/linkage.h"
#include "analysis/proposal/proposal.h"

namespace auxin::analysis {

// Of the middleware and the conduits, only what can be a join point.
std::vector<ProposedJoinPoint> find_by_name(const Linkage& linkage, const Layers& layers);

}  // namespace auxin::analysis
