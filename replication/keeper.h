// SPDX-License-Identifier: Apache-2.0
//
// The keeper: a tiny process that shares a replica's descriptor table and so keeps its sockets open
// for a while after the replica was killed, until the others have fetched them (DESIGN 4.5).
//
// It closes the gap between accept and the moment at which the followers hold a duplicate. It is
// cloned (CLONE_FILES) while the replica is still small, runs raw system calls only, never execs,
// blocks all signals but SIGKILL, is invisible to the server's wait (no exit signal), and is in a
// session of its own. It ends when its replica was a follower and is gone, when a later leader has
// fetched what it needs, when the group ends, and at the latest kPatience after its replica's
// death.
#pragma once

namespace auxin::replication {

// Starts this process's keeper. Returns its pid, or -errno (then a takeover in the moment of an
// accept may reset that connection; the group's status says so).
int start_keeper();
// The same in a process whose other threads stand still: its memory may be large by now, and is not
// copied (page by page, just when a restored replica goes on).
int start_keeper_alone();

}  // namespace auxin::replication
