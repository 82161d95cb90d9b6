// SPDX-License-Identifier: Apache-2.0
//
// Finds a follower that can't go on: the set of ordered locks is not closed (DESIGN 4.3).
//
// A thread holds a lock that is not ordered and waits for its turn at one that is; another needs
// the first lock before it comes to its own turn, which is earlier. In the leader that was a matter
// of waiting, here nobody moves again. The replica says so, leaves the group and is started again:
// where threads meet in another order it gets through. `auxin verify` names the two sections.
//
// Nothing is kept for it while replay moves: the kernel knows in which futex a thread waits, and
// the lock itself who holds it. A replica in which any thread still computes or reads a file may go
// on: it is left alone, and so is one whose two threads are not the same ones for a while.
//
// Thread safety: one thread, the tender.
#pragma once

#include <cstdint>

namespace auxin::replication {

// Once per look at the log. `behind`: whether there are entries that were not consumed. Does not
// return if the follower can't go on.
void watch_for_stall(uint64_t low, bool behind);

}  // namespace auxin::replication
