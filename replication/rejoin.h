// SPDX-License-Identifier: Apache-2.0
//
// A restored process becomes a replica: with the memory of a follower as it was at the checkpoint,
// and the number, the place in stable memory and the sockets of a new one.
//
//   each thread   holds no robust lock yet; takes its own lock in stable memory again
//   main thread   first: the process's number in the group
//   descriptors   listening sockets and open connections from those who have them; where nobody has
//                 one any more, a socket that behaves as if its peer were gone (the log says so
//                 too, further on)
//   saver         last: keeper, slot, role "joining"; then all threads go on where they were
#pragma once

#include "checkpoint/process/saved_context.h"

namespace auxin::replication {

// Tells checkpoint/process what to do in a new process. Before the first checkpoint.
void prepare_rejoin();

// On the steward's thread, at its beginning: it holds the replica's life lock, and its waits for
// the leadership are its own process's. In a restored process it goes on at `beginning`.
void this_is_the_steward(const checkpoint::SavedContext* beginning);
// The kernel's number of that thread.
int steward_number();

}  // namespace auxin::replication
