// SPDX-License-Identifier: Apache-2.0
//
// Ends the process when the bank stops answering outside of a client's measured calls.
//
// Not with the ORB's own time-outs: those follow the system's wall clock, and a step of that clock
// would make them fire for nothing. Uses SIGALRM; for one thread at a time.
#pragma once

namespace bank {

// From now on; the next call takes the place of this one. 0: no more waiting. When the time is
// over a line is written to standard error and the process exits with status 1.
void expect_answer_within(double seconds);

}  // namespace bank
