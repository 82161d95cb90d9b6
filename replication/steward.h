// SPDX-License-Identifier: Apache-2.0
//
// The steward: Auxin's own two threads in every replica.
//
//   steward  holds the replica's life lock and, in the leader, the leadership. In a follower it is
//            blocked on the leadership lock: the leader's death wakes it, and it promotes.
//   tender   a follower: pumps the log, watches the leader's heartbeat. The leader: heartbeat, lock
//            counts, storage for the log, followers that stall.
//
// Promotion (DESIGN 4.6), each step of which may be cut short by SIGKILL and done again by the
// next:
//
//   elect    take the leadership lock; hand it to a follower that is further on
//   fence    SIGKILL the old leader, wait for the life lock of each of its threads
//   seal     unpublished log positions become holes; the epoch is raised
//   fetch    sockets of all open connections; accepted but unlogged ones are adopted
//   recover  unlogged input is logged, half-sent output is finished
//   drain    the application's threads consume the rest of the log
//   serve    one store makes this replica the leader
#pragma once

namespace auxin::replication {

// Starts both threads and waits until this replica has its first role.
void start_steward();

// A new leader: what this process has counted as a follower is not the group's.
void count_from_here();

// Style "none": one thread that publishes the lock counts.
void start_counting();

}  // namespace auxin::replication
