// SPDX-License-Identifier: Apache-2.0
//
// Ordered sections: calls into the ORB on behalf of the application whose order shows in replies, as
// object activation, which hands out object ids (DESIGN 4.1). The section is a contention point of
// its own, named by the join point; nested ones (activation within _this()) are part of the
// outermost.
//
// Thread safety: any thread. Not ordered where the thread has no activity.
#pragma once

#include "metamarkers/join_point_map.h"

namespace auxin::replication {

void enter_ordered_section(const markers::JoinPoint& point);
void leave_ordered_section();
void end_ordered_section();  // early: application code may follow inside the call

}  // namespace auxin::replication
