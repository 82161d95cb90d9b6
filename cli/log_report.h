// SPDX-License-Identifier: Apache-2.0
//
// How `auxin stm` tells of the log of a group, where a memory file holds one.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "stmemu/log/log_survey.h"
#include "stmemu/memory/physical_memory.h"

namespace auxin::cli {

struct LogReport {
  std::optional<stm::LogSurvey> log;
  std::string damage;  // a sentence; empty: none. There is no second copy to mend it from
};

// Nothing in it if the memory has no plain area.
LogReport report_log(const stm::PhysicalMemory& memory);

// Adds "log", if there is one, and "log_damage", if there is any.
void add_log(const LogReport& report, nlohmann::ordered_json* json);
// One line for `auxin stm info`, without its name.
std::string log_text(const stm::LogSurvey& log);

}  // namespace auxin::cli
