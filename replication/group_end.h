// SPDX-License-Identifier: Apache-2.0
//
// The orderly end of a group, and leaving it in a forked child.
#pragma once

namespace auxin::replication {

// exit() or return from main. The leader's is the end of the group: logged, with its status. A
// follower's waits until the leader has ended too, or until it leads and ends the group itself.
void end_group(int status);

// A fork's child is no replica: it must not touch log, sockets or roles of the group.
void leave_group_in_child();

// Style "none": the process only counts; its slot says that it serves.
void count_only();

}  // namespace auxin::replication
