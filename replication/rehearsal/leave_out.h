// SPDX-License-Identifier: Apache-2.0
//
// Call sites that are left out of the selection: whether a lock is needed is tried by not ordering
// it (`auxin verify`).
//
// Thread safety: leave_out() once, before any verdict; is_left_out() on any thread, in a hook.
#pragma once

#include "libmeta_os/modules.h"

namespace auxin::replication {

// "LIBRARY+0xOFFSET,…": the module's name, and a return address in it; or "join-points" for all
// join points of the role contention-point, which order one thing. What is not of that form is
// skipped. Allocates.
void leave_out(const char* sites);
inline constexpr char kJoinPointsLeftOut[] = "join-points";

// Whether calls from there are left out. `module` may be null.
bool is_left_out(const os::Module* module, const void* address);
bool join_points_are_left_out();

}  // namespace auxin::replication
