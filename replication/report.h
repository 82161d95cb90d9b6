// SPDX-License-Identifier: Apache-2.0
//
// AUXIN_REPORT=FILE: the lock counts of this process as JSON, written when it ends (%p: its pid).
#pragma once

namespace auxin::replication {

// Reads the environment. At load.
void prepare_report();

// Writes it, if it was asked for and this is the process that was asked. At exit and _exit; once
// more when the library's own destructors run, so that what exit handlers did is in it. If it can't
// be written, one sentence on standard error says so and the process ends as it would have.
void write_report();

}  // namespace auxin::replication
