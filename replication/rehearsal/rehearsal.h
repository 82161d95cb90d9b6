// SPDX-License-Identifier: Apache-2.0
//
// A rehearsal: this process goes through a finished log as a follower, alone and under an
// adversarial schedule, and reports whether it did what the leader had done (`auxin verify`).
//
// It maps the group's memory for itself (StableMemory::open_private), so many rehearsals of one log
// run side by side and leave nothing behind. No leader lives, no socket is anybody's, nothing is
// promoted: connections are virtual to the end, a listening socket has the address it had. What it
// found stands in the report, a small file that whoever started it maps too.
//
//   command                       process
//   report: end, patience  ──►    follows the log from its begin, disturbed (disturbance.h)
//   waits for its end      ◄──    agreed: the log's end was reached
//                                 diverged: another decision or reply than the leader's
//                                 stalled: for so long nothing was consumed
//
// Thread safety: as each function says. Nothing here allocates.
#pragma once

#include <cstddef>
#include <cstdint>

#include "replication/rehearsal/report.h"
#include "stmemu/log/stable_log.h"

namespace auxin::replication {

// Null: this process rehearses nothing. Set before it joins its group.
extern RehearsalReport* rehearsal_report;
inline bool rehearsing() { return rehearsal_report != nullptr; }

// Maps the report. False: it can't be, or is none of this version.
bool prepare_rehearsal(const char* report_path);

// Instead of the steward: makes the replica a follower of the log and starts the one thread that
// watches it. After Replica::join.
void start_rehearsal();

// This process's reply differs from the logged one. The calling thread goes on to end_rehearsal().
void note_different_reply(uint64_t position, const stm::LogEntry& logged, const char* data,
                          size_t size, size_t offset);

// Ends the process; the first caller's outcome stands. Any thread, with any lock of ours held.
[[noreturn]] void end_rehearsal(Outcome outcome, const char* text);

}  // namespace auxin::replication
