// SPDX-License-Identifier: Apache-2.0
#include "analysis/trace/trace.h"

#include <fmt/format.h>

namespace auxin::analysis {

std::string TraceFrame::text() const {
  if (!function.empty()) return function;
  return fmt::format("{}+{:#x}", object.empty() ? "?" : object, offset);
}

uint64_t Trace::event_count() const {
  uint64_t count = 0;
  for (const TraceThread& thread : threads) count += thread.events.size();
  return count;
}

const char* Trace::text_at(uint64_t offset) const {
  return offset < strings.size() ? strings.c_str() + offset : "";
}

std::span<const uint32_t> Trace::path(uint32_t number) const {
  if (number >= paths.size()) return {};
  return paths[number];
}

}  // namespace auxin::analysis
