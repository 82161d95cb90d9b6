// SPDX-License-Identifier: Apache-2.0
//
// The three standard descriptors, which a caller may have closed.
//
// Thread safety: at the start of main only.
#pragma once

namespace auxin::cli {

// Nothing else may get their numbers: what is told would go into another file, and a child that is
// given a pipe's end as its standard output would hold the pipe open. What was closed fails as
// before where it matters: reading finds the end, writing to standard output fails.
void keep_standard_numbers();

}  // namespace auxin::cli
