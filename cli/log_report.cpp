// SPDX-License-Identifier: Apache-2.0
#include "cli/log_report.h"

#include <fmt/format.h>

namespace auxin::cli {

LogReport report_log(const stm::PhysicalMemory& memory) {
  LogReport report;
  if (memory.superblock().plain_pages == 0) return report;
  const Result<stm::LogSurvey> found = stm::survey_log(memory.path());
  if (!found) {
    const std::string& error = found.error();
    const std::string prefix = memory.path() + ": ";
    report.damage = "the group's log: " +
                    (error.starts_with(prefix) ? error.substr(prefix.size()) : error);
    return report;
  }
  report.log = found.value();
  if (report.log->damaged > 0) {
    report.damage = fmt::format("the group's log: {} of {} entries damaged, the first at position "
                                "{}",
                                report.log->damaged, report.log->end - report.log->begin,
                                report.log->first_damaged);
  }
  return report;
}

void add_log(const LogReport& report, nlohmann::ordered_json* json) {
  if (report.log) {
    const stm::LogSurvey& log = *report.log;
    (*json)["log"] = {{"begin", log.begin},
                      {"end", log.end},
                      {"entries", log.entries},
                      {"holes", log.holes},
                      {"unpublished", log.unpublished},
                      {"damaged", log.damaged},
                      {"entry_capacity", log.layout.entry_capacity},
                      {"payload_bytes", log.payload_end - log.payload_begin},
                      {"payload_capacity_bytes", log.layout.payload_size_bytes}};
  }
  if (!report.damage.empty()) (*json)["log_damage"] = report.damage;
}

std::string log_text(const stm::LogSurvey& log) {
  const auto percent = [](uint64_t part, uint64_t whole) {
    return 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  };
  return fmt::format("a group's: {} entries from position {} on, {} holes; entries {:.1f} % full, "
                     "payload {:.1f} %",
                     log.entries, log.begin, log.holes,
                     percent(log.end - log.begin, log.layout.entry_capacity),
                     percent(log.payload_end - log.payload_begin, log.layout.payload_size_bytes));
}

}  // namespace auxin::cli
