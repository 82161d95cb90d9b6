// SPDX-License-Identifier: Apache-2.0
//
// Steps of a conversation at which a test can have its process killed: each frame that has come,
// each before it goes, each when it has gone. Compiled to nothing unless the build has
// AUXIN_KILL_POINTS.
//
// Thread safety: any thread.
#pragma once

#include <cstdint>

namespace auxin::checkpoint {

#ifdef AUXIN_KILL_POINTS
// Ends the process by SIGKILL if this is the one that was asked for: by AUXIN_CHECKPOINT_KILL_STEP
// (read once at load), or by set_kill_step.
void kill_step();
// The `step`-th from now on, counted from 1; 0: none.
void set_kill_step(uint64_t step);
#else
inline void kill_step() {}
#endif

}  // namespace auxin::checkpoint
