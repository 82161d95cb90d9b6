// SPDX-License-Identifier: Apache-2.0
//
// The disturbance: an observer of the hooks that holds threads up as a schedule says (schedule.h),
// at locks, at hand-overs between threads and at sockets, whether the calls are ordered or not.
//
// Thread safety: begin_disturbance() once, before the application's threads run.
#pragma once

namespace auxin::replication {

// If the environment names a seed (kScheduleVariable). After the footprint has been installed.
// Allocates; not in a hook.
void begin_disturbance();

}  // namespace auxin::replication
