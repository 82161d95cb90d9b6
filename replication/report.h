// SPDX-License-Identifier: Apache-2.0
//
// AUXIN_REPORT=FILE: the lock counts of this process as JSON, written when it ends (%p: its pid).
#pragma once

namespace auxin::replication {

// Reads the environment. At load.
void prepare_report();

}  // namespace auxin::replication
