// SPDX-License-Identifier: Apache-2.0
//
// What the supervisor tells a replica at its start: environment variables, read once by the
// preload. A process that has become the replica removes them (and LD_PRELOAD's entry of ours) from
// its environment, so its children are ordinary processes.
#pragma once

namespace auxin::replication {

inline constexpr char kGroupVariable[] = "AUXIN_GROUP";      // path of the stable memory file
inline constexpr char kReplicaVariable[] = "AUXIN_REPLICA";  // replica id, decimal
inline constexpr char kReportVariable[] = "AUXIN_REPORT";    // bare preload: JSON at exit, %p = pid
inline constexpr char kMapsVariable[] = "AUXIN_MAPS";        // directory of join-point maps

// Absolute paths that are this replica's own, by its {replica} arguments, separated by colons.
inline constexpr char kOwnPathsVariable[] = "AUXIN_OWN_PATHS";

// What is to be recorded (recording/): the directory for the regions, "count" or "full", and how
// many chunks each gets.
inline constexpr char kRecordVariable[] = "AUXIN_RECORD";
inline constexpr char kRecordDetailVariable[] = "AUXIN_RECORD_DETAIL";
inline constexpr char kRecordChunksVariable[] = "AUXIN_RECORD_CHUNKS";
inline constexpr char kRecordSnapshotsVariable[] = "AUXIN_RECORD_SNAPSHOTS";  // "1": with them

// For a process that is to go through a finished log under a schedule (rehearsal/): the file of its
// report; the seed of the schedule, decimal (a leader may have one too); call sites whose locks are
// not to be ordered (rehearsal/leave_out.h).
inline constexpr char kRehearsalVariable[] = "AUXIN_REHEARSAL";
inline constexpr char kScheduleVariable[] = "AUXIN_SCHEDULE";
inline constexpr char kLeaveOutVariable[] = "AUXIN_LEAVE_OUT";

}  // namespace auxin::replication
