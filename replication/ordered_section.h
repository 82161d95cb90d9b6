// SPDX-License-Identifier: Apache-2.0
//
// Ordered sections: calls into the ORB on behalf of the application whose order shows in replies,
// as object activation, which hands out object ids; and whether a request finds its object (DESIGN
// 4.1).
//
// All sections change one thing, the object table, whose version is the number of sections
// completed. A request's look-up happens at one version: it is a decision. In the leader a section
// waits for look-ups in progress, and look-ups wait for a section (a read-write lock); the
// section's decision carries its number and how many look-ups were complete before it. A follower's
// look-up waits for its version, a follower's section for its number and for those look-ups.
//
// A look-up may block for long (a POA manager in the holding state): a section does not wait for it
// for more than 20 ms. Nested sections (activation within _this()) are part of the outermost.
//
// A request that has deactivated an object it is using has its last effect on the table when its
// reply is sent already: the object goes when the invocation ends. So a request that was in a
// section settles in one more, from its upcall's end to its own.
//
// Thread safety: any thread. Not ordered where the thread has no activity.
#pragma once

#include "metamarkers/join_point_map.h"

namespace auxin::replication {

void enter_ordered_section(const markers::JoinPoint& point);
void leave_ordered_section();
void end_ordered_section();  // early: application code may follow inside the call

// Around a request's look-up of its object: from when it is taken up to the upcall (or to its end).
void begin_look_up();
void end_look_up();

// Around what the ORB does behind the upcall of a request that was in a section. It waits for
// requests that have replied and not ended: the object may be in use by them for a moment yet.
void note_reply();  // the calling thread's request replies now
void begin_settling();
void end_settling();

}  // namespace auxin::replication
