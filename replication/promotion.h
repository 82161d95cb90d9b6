// SPDX-License-Identifier: Apache-2.0
//
// Taking over: the steps of a promotion (steward.h has the picture). Called by the steward, which
// holds the leadership lock.
#pragma once

namespace auxin::replication {

// The group's first leader: nothing to take over.
void lead_from_the_start();

// Promotes this replica. False: another live replica is better suited and has been nominated; the
// caller gives the lock back. Blocks until the old leader is fenced and the log is consumed.
bool promote();

// Housekeeping of a leader: bytes that its predecessor had promised to slow clients.
void flush_pending_output();

}  // namespace auxin::replication
