// SPDX-License-Identifier: Apache-2.0
#include "stmemu/log/log_survey.h"

#include <algorithm>

#include "stmemu/log/log_slot.h"
#include "stmemu/log/stable_log.h"

namespace auxin::stm {
namespace {

// A log that reaches back to its start is on its first lap: its slots began as zeros.
bool has_strange_stamp(const StableMemory& memory, uint64_t position) {
  const auto* slots = static_cast<const LogSlot*>(memory.entries());
  return slots[position].stamp.load(std::memory_order_acquire) != 0;
}

}  // namespace

Result<LogSurvey> survey_log(const std::string& path) {
  Result<StableMemory> memory =
      StableMemory::open(path, StableMemory::kAnyControlVersion, /*read_only=*/true);
  if (!memory) return Error{memory.error()};
  const StableLog log(*memory);
  LogSurvey survey;
  survey.layout = memory->layout();
  survey.begin = log.begin();
  survey.end = log.end();
  survey.payload_begin = log.payload_begin();
  survey.payload_end = log.payload_end();
  const uint64_t capacity = survey.layout.entry_capacity;
  const auto damage_at = [&](uint64_t position) {
    if (survey.damaged++ == 0) survey.first_damaged = position;
  };
  // More than the ring holds: the words at its head are damaged, or were overrun.
  if (survey.end < survey.begin || survey.end - survey.begin > capacity) {
    damage_at(survey.begin);
    return survey;
  }
  for (uint64_t position = survey.begin; position < survey.end; ++position) {
    LogEntry entry;
    switch (log.read(position, &entry)) {
      case StableLog::Read::kEntry:
        ++(entry.kind == kHole ? survey.holes : survey.entries);
        break;
      case StableLog::Read::kNotYet:
        if (survey.end <= capacity && has_strange_stamp(*memory, position) &&
            log.read(position, &entry) == StableLog::Read::kNotYet) {
          damage_at(position);
        } else {
          ++survey.unpublished;
        }
        break;
      case StableLog::Read::kReleased: break;  // meanwhile
      case StableLog::Read::kCorrupt: damage_at(position); break;
    }
  }
  return survey;
}

}  // namespace auxin::stm
