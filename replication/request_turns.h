// SPDX-License-Identifier: Apache-2.0
//
// Servers that take one request at a time: an ORB whose pool has a single worker excludes requests
// from one another, and their code may rely on it without a lock.
//
// A follower must not have such a limit: its only worker may have taken the wrong request and wait
// for another one's decision. So its pool is unlimited (worker_task), and the exclusion is kept
// here: as long as requests of a pool have come one by one in the leader, each look-up is logged
// with the request's number, and a follower's request waits until all before it have ended. Once
// two are in progress at the same time, the server has shown that it takes several.
//
// Thread safety: any thread. Source: DESIGN 4.5 (thread limits).
#pragma once

#include <cstdint>

namespace auxin::replication {

// The ORB queues a task for its workers.
void worker_task(uint64_t task);

// A request begins in the leader, before its look-up. Returns what is to be logged: its number (as
// many have ended before it, plus one), or 0: it is not alone. In a leader that has followed there
// are more workers than the pool's: there it waits for its turn, at most a second.
uint64_t begin_turn();

// A request begins in a follower; `number` and `position` of its logged look-up. Blocks until it
// may go on.
void follow_turn(uint64_t number, uint64_t position);

// The request of this thread has ended.
void end_turn();

}  // namespace auxin::replication
