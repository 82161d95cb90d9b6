// SPDX-License-Identifier: Apache-2.0
//
// Which of its connections to another server the ORB takes for a call out of this one.
//
// The ORB takes an idle connection, opens another, or waits, by what other calls have taken and
// given back before: both are ordered among all activities, so every replica's pool has the same
// history. A section may wait inside, on a condition under a lock of the ORB's own; it lets others
// pass meanwhile, and its return is another decision. In a follower nobody waits on that condition:
// the return has its place in the log.
//
// Thread safety: any thread. Not ordered where the thread has no activity.
#pragma once

#include <pthread.h>

#include "libmeta_os/facets.h"

namespace auxin::replication {

void enter_connection_choice();
void leave_connection_choice();

// A condition's wait by a thread in such a section (elsewhere: as without Auxin).
int wait_in_connection_choice(pthread_cond_t* cond, pthread_mutex_t* mutex,
                              const os::Deadline& deadline, os::CallSite site);

}  // namespace auxin::replication
