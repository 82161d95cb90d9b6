// SPDX-License-Identifier: Apache-2.0
//
// Other processes, as /proc and pidfds show them.
//
// A pid alone is no identity: it may have been given to another process. A member of a group is
// known by the environment that it was started with (AUXIN_GROUP holds the path of the group's
// memory), which also finds members that no table knows yet.
//
// Thread safety: all are pure queries, apart from the signals.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "replication/supervisor/descriptor.h"

namespace auxin::supervisor {

// It exists and has not ended (a zombie has).
bool process_lives(int pid);
// /proc/PID/stat field 22; 0: no such process.
uint64_t start_time_ticks(int pid);

struct Member {
  int pid;
  int replica;
  bool keeper;  // holds a replica's descriptors a while longer than it lives (replication/keeper.h)
};
// All living processes that were started as replicas of the group with this memory, and their
// forked children.
std::vector<Member> members_of(const std::string& memory_path);
// Any of them that is not a keeper.
bool replicas_live(const std::vector<Member>& members);
// The paths of the memories of all groups that have a living replica, as far as we may look.
std::vector<std::string> memories_in_use();
bool is_member(int pid, const std::string& memory_path, int replica);

// An invalid descriptor: no such process.
Descriptor open_process(int pid);
// Sends a signal to the process behind the pidfd, if there still is one.
void signal_process(const Descriptor& pidfd, int signal);
// The process behind the pidfd has ended.
bool has_ended(const Descriptor& pidfd);
// How a process that is not our child ended, as wait(2) would tell; nothing where the kernel does
// not say (before 6.15), or not yet (its parent has not waited for it).
std::optional<int> wait_status_of_stranger(const Descriptor& pidfd);

// The process would end at once by this signal: no handler, not ignored, not blocked for sigwait.
bool would_die_of(int pid, int signal);

}  // namespace auxin::supervisor
