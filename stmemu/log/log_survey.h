// SPDX-License-Identifier: Apache-2.0
//
// Looks at a group's area of a memory file without changing it: what its log holds, and whether
// every entry checks. For `auxin stm`; may run while the group does.
#pragma once

#include <cstdint>
#include <string>

#include "stmemu/log/stable_memory.h"
#include "stmemu/result.h"

namespace auxin::stm {

struct LogSurvey {
  Layout layout;
  uint64_t begin = 0, end = 0;                  // positions
  uint64_t payload_begin = 0, payload_end = 0;  // offsets, bytes
  uint64_t entries = 0;                         // published, holes apart
  uint64_t holes = 0;
  uint64_t unpublished = 0;                     // taken by an appender that has not stored it yet
  uint64_t damaged = 0;
  uint64_t first_damaged = 0;                   // its position, if there is any
};

// Errors as of StableMemory::open, whatever the control area's version. Reads every entry and its
// payload: about 100 ns each.
Result<LogSurvey> survey_log(const std::string& path);

}  // namespace auxin::stm
