// SPDX-License-Identifier: Apache-2.0
//
// When this process is recorded (recording/): from its start, because its environment says so, or
// for a while, because the command asked the running group for it.
//
// Thread safety: record_from_the_start() before main or at a dlopen; look_at_recording_request() on
// one thread of the replica's own.
#pragma once

namespace auxin::replication {

// AUXIN_RECORD and its kin (environment.h). A recording that can't be begun is told on standard
// error; the server goes on without.
void record_from_the_start();

// In a group, now and then: begins what the command asks for (GroupControl::record_…) if this
// replica leads, and ends it when its time is over. Followers are not recorded.
void look_at_recording_request();

}  // namespace auxin::replication
