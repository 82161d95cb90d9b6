// SPDX-License-Identifier: Apache-2.0
#include "cli/pages/lock_page.h"

#include <map>
#include <nlohmann/json.hpp>

#include "analysis/locks/lock_report_json.h"
#include "cli/pages/page.h"

namespace auxin::cli {
namespace {

using Json = nlohmann::ordered_json;

// The rows' paths share most of their frames, and names of C++ functions are long: each stands once
// in a list, and a path holds numbers.
void number_frames(Json& report) {
  std::map<std::string, size_t> numbers;
  Json frames = Json::array();
  for (Json& row : report["by_path"]) {
    for (Json& frame : row["path"]) {
      const auto [there, is_new] = numbers.emplace(frame.get<std::string>(), frames.size());
      if (is_new) frames.push_back(there->first);
      frame = there->second;
    }
  }
  report["frames"] = std::move(frames);
}

}  // namespace

std::string lock_page(const analysis::LockReport& report, const analysis::CostReport* cost) {
  Json data = analysis::to_json(report);
  number_frames(data);
  data["cost"] = nullptr;
  if (cost != nullptr) data["cost"] = analysis::to_json(*cost);
  return to_page({"auxin locks: " + report.title,
                  {"shared.css", "locks.css"},
                  {"shared.js", "table.js", "locks_summary.js", "request_steps.js",
                   "request_wide.js", "request_narrow.js", "locks_request.js", "flame_graph.js",
                   "locks_tables.js", "locks.js"},
                  "locks.html"},
                 data);
}

}  // namespace auxin::cli
