// SPDX-License-Identifier: Apache-2.0
//
// Processors that a process which ends leaves alone.
//
// Its last thread takes down all of its memory, some milliseconds for a hundred MiB, and many a
// kernel neither takes the processor from it for a thread that was just woken or started there nor
// looks for another one.
#pragma once

namespace auxin::restorer {

// Which process a descriptor stands for; 0: it is no pidfd.
int process_of(int pidfd);

// The calling thread, and those it starts, run where fewest of that process's living threads run.
// As before if that is everywhere, or can't be seen.
void keep_off_processors_of(int pid);

}  // namespace auxin::restorer
