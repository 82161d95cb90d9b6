// SPDX-License-Identifier: Apache-2.0
//
// Where and when a follower runs: on one processor, in the batch class with a long slice, so that
// it takes no time from the leader and its clients when they need it. Nothing here needs a
// privilege, and all of it is undone at a promotion.
//
// Thread safety: one thread at a time, the steward; show_processors_as_started from any.
#pragma once

#include <sched.h>

#include <cstddef>

namespace auxin::replication {

// Every thread of the process: before the server's main (its threads inherit it), or where a
// leader's image has been restored. Does nothing where the settings say so, or
// where the server was started with a scheduling policy of its own.
void schedule_as_follower();

// Every thread of the process back to where and how the server was started.
void schedule_as_leader();

// The same in a child that the process has forked; it has one thread.
void schedule_as_child();

// `cpus` is what the kernel says of a thread of this process. If that is where this file has put it
// the processors are filled in that the server was started with: its own question gets the same
// answer in every replica.
void show_processors_as_started(size_t size, cpu_set_t* cpus);

}  // namespace auxin::replication
