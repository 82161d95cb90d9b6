// SPDX-License-Identifier: Apache-2.0
//
// Counts of synchronisation calls, by library and join point: of a group (its leaders' so far)
// or of one process that runs with the bare preload.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/unsupported_lines.h"
#include "libmeta_os/counters.h"
#include "replication/group_state.h"
#include "stmemu/result.h"

namespace auxin::cli {

struct LockRow {
  std::string library, join_point;  // "": no known join point
  uint64_t total = 0, intercepted = 0, ordered = 0;
};

struct LockCounts {
  uint64_t requests = 0;
  uint64_t total = 0, intercepted = 0, ordered = 0;
  std::vector<LockRow> by_library;     // most calls first
  std::vector<LockRow> by_join_point;  // the same
  std::vector<UnsupportedLine> unsupported;
};

LockCounts count_locks(const replication::GroupControl& control);

// From the counter block of the process, read from outside. An error is a sentence: no such
// process, not permitted, or no preload in it.
Result<LockCounts> count_locks_of_process(int pid);

}  // namespace auxin::cli
