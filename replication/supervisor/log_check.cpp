// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/log_check.h"

#include <fmt/format.h>

#include "stmemu/check.h"
#include "stmemu/log/log_slot.h"

namespace auxin::supervisor {
namespace {

using Clock = std::chrono::steady_clock;
using stm::StableLog;

constexpr uint64_t kEntriesBetweenLooksAtTheClock = 4096;

// A log that reaches back to its start is on its first lap: a slot that was not published still has
// the stamp 0 of a new file, and an outcome word is 0 or its own entry's.
bool damaged(const StableLog& log, const stm::LogSlot& slot, uint64_t position) {
  stm::LogEntry entry;
  switch (log.read(position, &entry)) {
    case StableLog::Read::kEntry: {
      uint32_t outcome;
      return slot.outcome.load() != 0 && !log.outcome(position, &outcome);
    }
    case StableLog::Read::kNotYet: return slot.stamp.load() != 0;
    case StableLog::Read::kReleased:
    case StableLog::Read::kCorrupt: return true;
  }
  return true;
}

}  // namespace

std::string log_fault(const GroupMemory& group, const CheckProgress& tell,
                      std::chrono::milliseconds tell_every) {
  const StableLog& log = group.log();
  const stm::StableMemory& memory = group.memory();
  CHECK(log.begin() == 0, "only a log that reaches back to its start is checked");
  const uint64_t end = log.end();
  if (end > memory.layout().entry_capacity) {
    return fmt::format("{}: damaged: the log claims {} entries and holds {} at most",
                       memory.path(), end, memory.layout().entry_capacity);
  }
  const auto* slots = static_cast<const stm::LogSlot*>(memory.entries());
  Clock::time_point told = Clock::now();
  for (uint64_t position = 0; position < end; ++position) {
    if (damaged(log, slots[position], position)) {
      return fmt::format("{}: damaged: entry {} of the log (of {}), or its payload, does not match "
                         "its checksum",
                         memory.path(), position, end);
    }
    if (position % kEntriesBetweenLooksAtTheClock != 0) continue;
    if (const Clock::time_point now = Clock::now(); now - told >= tell_every) {
      told = now;
      tell(position, end);
    }
  }
  return {};
}

}  // namespace auxin::supervisor
