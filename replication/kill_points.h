// SPDX-License-Identifier: Apache-2.0
//
// Named steps at which a test can have a replica killed: kill_points.def. Compiled to nothing
// unless the build has AUXIN_KILL_POINTS.
#pragma once

namespace auxin::replication {

enum class KillPoint : int {
#define KILL_POINT(identifier, name) k##identifier,
#include "replication/kill_points.def"
#undef KILL_POINT
};

#ifdef AUXIN_KILL_POINTS
// Ends the process by SIGKILL if the environment asks for it here (read once at load).
void kill_point(KillPoint point);
// True if the point would kill at its next pass: for steps that need a half-way state.
bool kill_point_armed(KillPoint point);
void prepare_kill_points();
#else
inline void kill_point(KillPoint) {}
inline bool kill_point_armed(KillPoint) { return false; }
inline void prepare_kill_points() {}
#endif

}  // namespace auxin::replication
