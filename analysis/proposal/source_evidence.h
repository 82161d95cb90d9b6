// SPDX-License-Identifier: Apache-2.0
//
// What sources say to a proposed map: where its functions stand and which locks they use, and what
// the recording that it was made of did not come by.
#pragma once

#include "analysis/proposal/proposal.h"
#include "analysis/structure/join.h"

namespace auxin::analysis {

// `join`: of the recording that `proposal` was made of. Adds to the evidence of join points whose
// functions the sources have, and to what is missing.
void add_source_evidence(Proposal& proposal, const StructureJoin& join);

}  // namespace auxin::analysis
