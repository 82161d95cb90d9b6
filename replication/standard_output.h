// SPDX-License-Identifier: Apache-2.0
//
// A follower's standard output and error: a sink until it is promoted, by descriptor, because stdio
// and iostreams do not pass through a hook (DESIGN 4.10).
#pragma once

namespace auxin::replication {

void hold_standard_output_back();  // before the application's first output
void release_standard_output();    // at the promotion

// In a restored process: true if `fd` is where the output was kept; it is the new process's now,
// and the sink is in its place again.
bool claim_standard_output(int fd);

}  // namespace auxin::replication
