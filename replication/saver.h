// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints of a replica: an image of the whole process, taken where it stands in the log.
//
//   supervisor ── wanted n ──▶ saver (Auxin's own thread in a follower) ── answered ──▶ supervisor
//                               │ all other threads stop; the image is written to
//                               ▼ DIRECTORY/base/(n - base).segment
//   supervisor ── auxin-restore ──▶ a process with that memory: rejoin.h makes it a replica
//
// A follower's memory, its place in the log included, is one consistent state wherever its threads
// stop: the log itself is in stable memory and never changes before its end. So nothing has to be
// finished first; the only threads that may not be met are those that hold a lock which the
// restored process needs before they run again. DESIGN 4.7.
#pragma once

#include <cstdint>

namespace auxin::replication {

// Starts the thread, and says what becomes of the process if it is restored.
void start_saver();

// In a restored process: which checkpoint it is, and where in the log that was taken.
uint64_t saved_number();
uint64_t saved_position();

}  // namespace auxin::replication
