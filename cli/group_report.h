// SPDX-License-Identifier: Apache-2.0
//
// What `auxin status` and `auxin locks` tell about a group: read from its memory, which is mapped
// read-only and never waited for.
//
// The words are read one by one while replicas write them, so a report is not one instant's; each
// number in it was true within the microseconds of reading.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/lock_counts.h"
#include "replication/supervisor/group_memory.h"
#include "stmemu/result.h"

namespace auxin::cli {

struct ReplicaReport {
  int id = 0;
  int pid = 0;               // of the living server process; 0: none
  std::string role;          // leader, follower, joining, dead, diverged
  uint64_t position = 0;
  uint64_t lag = 0;
  uint64_t compared = 0;
  uint64_t mismatches = 0;
  bool ready = false;
  uint32_t starts = 0;       // of processes, so far
  std::string last_end;      // how the latest ended process ended; "": none has
  std::string message;
};

struct PromotionReport {
  uint32_t epoch = 0;
  int from = -1, to = -1;
  uint64_t detect_us = 0, serve_us = 0;
  std::string reason;        // death, hang
  std::string since;         // death (as the kernel knows it), detection
  uint64_t at_realtime_ns = 0;
  uint64_t log_position = 0;
};

struct GroupReport {
  std::string name, style, phase, stop_reason, state_directory;
  int supervisor_pid = 0;    // 0: none lives
  uint32_t epoch = 0;
  std::vector<std::string> facets, maps;
  std::vector<std::string> shared_files;  // that several replicas have open for writing
  bool rejoin = false;
  uint64_t checkpoint = 0;           // the newest; 0: none
  uint64_t checkpoint_position = 0;  // log entry
  std::string checkpoint_method;     // "": not known
  std::string checkpoint_obstacle;   // why there can be none; "": not known of any
  std::vector<ReplicaReport> replicas;
  uint64_t log_begin = 0, log_end = 0, log_bytes = 0, log_capacity_entries = 0,
           log_capacity_bytes = 0;
  int log_used_percent = 0;
  uint64_t requests = 0, replies = 0;
  uint32_t promotion_count = 0;  // also those that are no longer listed
  std::vector<PromotionReport> promotions;
  LockCounts locks;                       // with what is unsupported
};

// The group whose state is in the directory. An error is a sentence.
Result<GroupReport> read_group(const std::string& directory);

}  // namespace auxin::cli
