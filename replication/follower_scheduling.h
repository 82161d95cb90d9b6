// SPDX-License-Identifier: Apache-2.0
//
// Where and when a follower runs: on one processor, in the batch class with a long slice, so that
// it takes no time from the leader and its clients when they need it. Nothing here needs a
// privilege, and all of it is undone at a promotion.
//
// Thread safety: one thread at a time, the steward.
#pragma once

namespace auxin::replication {

// Before the server's main (its threads inherit it). Does nothing where the settings say so, or
// where the server was started with a scheduling policy of its own.
void schedule_as_follower();

// Every thread of the process back to where and how the server was started.
void schedule_as_leader();

}  // namespace auxin::replication
