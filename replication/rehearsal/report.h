// SPDX-License-Identifier: Apache-2.0
//
// What a rehearsal reports: the layout of a small file that its process and the command share.
//
// The command fills the first part, the process the rest, `outcome` last. A process that was killed
// or crashed leaves kRunning.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace auxin::replication {

inline constexpr uint64_t kReportMagic = 0x31524852'58554100;  // "\0AUXRHR1"
inline constexpr int kMaxInProgress = 32;
inline constexpr uint32_t kKeptReplyBytes = 64;

enum class Outcome : uint32_t {
  kRunning = 0,
  kAgreed = 1,    // the log's end was reached
  kDiverged = 2,
  kStalled = 3,
  kFailed = 4,    // it could not be rehearsed: `text` says why
};

struct InProgress {
  uint64_t activity;
  char operation[24];
};

struct RehearsalReport {
  // By the command.
  uint64_t magic;
  uint64_t end_position;        // of the log: what stands from there on is not rehearsed
  int32_t owner_pid;            // it ends with this process
  uint32_t stall_ms;
  // By the rehearsed process.
  std::atomic<Outcome> outcome;
  uint32_t followed;            // 1: it became a follower of the log
  std::atomic<uint64_t> position;  // everything before it has been consumed
  std::atomic<uint64_t> replies;   // compared
  uint64_t duration_ns;         // of following
  uint64_t activity;            // diverged: who; stalled: whose decision is next
  uint32_t step;
  uint32_t reply_differs;       // 1: the words below are set
  uint64_t entry;               // position of the log entry in question
  uint64_t connection;
  uint32_t own_size_bytes, logged_size_bytes;
  uint32_t offset;              // of the first byte that differs
  uint32_t own_kept, logged_kept;  // how many of the bytes around it stand below
  uint32_t kept_offset;         // where these begin in the reply
  uint8_t own_bytes[kKeptReplyBytes], logged_bytes[kKeptReplyBytes];
  uint16_t entry_kind, entry_form;  // stalled: of the entry that is next (log_entry.h)
  uint32_t in_progress_count;
  uint64_t entry_object;
  InProgress in_progress[kMaxInProgress];  // requests in the application then
  char operation[24];           // of the diverging request
  char text[512];
};
static_assert(sizeof(RehearsalReport) <= 4096);
inline constexpr size_t kReportSizeBytes = 4096;

}  // namespace auxin::replication
