// SPDX-License-Identifier: Apache-2.0
#include "cli/lock_report_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/text_table.h"

namespace auxin::cli {
namespace {

using analysis::CallCounts;
using analysis::Distribution;
using analysis::LockReport;
using analysis::LockTableRow;
using analysis::PerRequest;

// "14 (12 to 18)", or "14" where it does not spread.
std::string spread(const Distribution& d) {
  if (d.low == d.high) return fmt::format("{:g}", d.median);
  return fmt::format("{:g} ({:g} to {:g})", d.median, d.low, d.high);
}

std::string ratio(const Distribution& part, const Distribution& whole) {
  if (whole.mean <= 0) return "-";
  return fmt::format("{:.1f} %", 100 * part.mean / whole.mean);
}

void add_columns(TextTable& table, const std::string& name, const std::string& requests,
                 const PerRequest& per) {
  table.add({name, requests, spread(per.calls), spread(per.intercepted),
             ratio(per.intercepted, per.calls), spread(per.acquisitions), spread(per.ordered),
             ratio(per.ordered, per.acquisitions)});
}

std::string per(uint64_t count, uint64_t requests) {
  if (requests == 0) return "-";
  return fmt::format("{:.2f}", static_cast<double>(count) / static_cast<double>(requests));
}

std::string share(uint64_t part, uint64_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.1f} %", 100 * static_cast<double>(part) / static_cast<double>(whole));
}

// With what threads do between requests: taking connections and giving them back, waiting.
std::vector<std::string> whole_server(const LockReport& report) {
  CallCounts sum = report.in_requests;
  sum += report.outside;
  sum += report.warm_up;
  const uint64_t requests = report.requests + report.warm_up_requests;
  return {"whole server, mean", grouped(requests), per(sum.calls, requests),
          per(sum.intercepted, requests), share(sum.intercepted, sum.calls),
          per(sum.acquisitions, requests), per(sum.ordered, requests),
          share(sum.ordered, sum.acquisitions)};
}

std::string three_columns(const LockReport& report) {
  TextTable table("lrrrrrrr");
  table.add({"", "", "intercepted", "", "", "ordered", "", ""});
  table.add({"per request", "requests", "OS only", "multi-level", "ratio", "OS only",
             "multi-level", "ratio"});
  add_columns(table, "all", grouped(report.requests), report.per_request);
  table.add(whole_server(report));
  for (const LockTableRow& row : report.by_operation) {
    add_columns(table, row.name, grouped(row.requests), row.per_request);
  }
  return table.text();
}

CallCounts sum_of(const LockTableRow& row) {
  CallCounts sum = row.in_requests;
  sum += row.outside;
  sum += row.warm_up;
  return sum;
}

void add_row(TextTable& table, const std::string& name, const std::string& of,
             const LockTableRow& row, uint64_t requests) {
  const CallCounts sum = sum_of(row);
  table.add({name, of, grouped(sum.calls), grouped(sum.intercepted), grouped(sum.ordered),
             per(row.in_requests.calls, requests), per(row.in_requests.ordered, requests)});
}

std::string table_of(const char* first, const char* second,
                     const std::vector<LockTableRow>& rows, uint64_t requests) {
  TextTable table("llrrrrr");
  table.add({first, second, "calls", "intercepted", "ordered", "in a request", "ordered there"});
  for (const LockTableRow& row : rows) {
    add_row(table, row.name.empty() ? "(none)" : row.name, row.of, row, requests);
  }
  return table.text();
}

// Where the calls of a path come from: its innermost functions.
std::string short_path(const std::string& path) {
  constexpr size_t kFrames = 3, kMostLength = 60;
  std::string text;
  size_t at = 0;
  for (size_t i = 0; i < kFrames && at < path.size(); ++i) {
    const size_t end = std::min(path.find('\n', at), path.size());
    std::string frame = path.substr(at, end - at);
    const size_t library = frame.rfind(" [");
    if (library != std::string::npos) frame.resize(library);
    const size_t arguments = frame.find('(', 1);
    if (arguments != std::string::npos) frame.resize(arguments);
    if (frame.size() > kMostLength) frame = frame.substr(0, kMostLength - 1) + "…";
    text += (text.empty() ? "" : " ← ") + frame;
    at = end + 1;
  }
  return text.empty() ? "(not known)" : text;
}

std::string paths(const LockReport& report, size_t most) {
  TextTable table("rrrrl");
  table.add({"calls", "intercepted", "ordered", "in a request", "call and path"});
  const size_t listed =
      most == 0 ? report.by_path.size() : std::min(most, report.by_path.size());
  for (size_t i = 0; i < listed; ++i) {
    const LockTableRow& row = report.by_path[i];
    const CallCounts sum = sum_of(row);
    table.add({grouped(sum.calls), grouped(sum.intercepted), grouped(sum.ordered),
               per(row.in_requests.calls, report.requests),
               row.of + " ← " + short_path(row.name)});
  }
  std::string text = table.text();
  if (listed < report.by_path.size()) {
    text += fmt::format("  (the first {} of {}; --paths 0 lists all)\n", listed,
                        report.by_path.size());
  }
  return text;
}

}  // namespace

std::string to_text(const LockReport& report, size_t most_paths) {
  std::string text = fmt::format("{}  synchronisation calls in {} requests ({} more as warm-up), "
                                 "{:.1f} s\n\n",
                                 report.title, grouped(report.requests),
                                 grouped(report.warm_up_requests), report.duration_s);
  text += three_columns(report);
  text += "  medians, with the 5th and 95th percentile; OS only: every call is intercepted, every\n"
          "  acquisition ordered\n";
  const uint64_t all = report.requests + report.warm_up_requests;
  text += fmt::format("\n  outside of requests: {} calls ({} a request), {} intercepted, {} "
                      "ordered; in the warm-up: {}\n",
                      grouped(report.outside.calls), per(report.outside.calls, all),
                      grouped(report.outside.intercepted), grouped(report.outside.ordered),
                      grouped(report.warm_up.calls));
  text += "\n" + table_of("call", "", report.by_call, report.requests);
  text += "\n" + table_of("library", "", report.by_library, report.requests);
  text += "\n" + table_of("join point", "library", report.by_join_point, report.requests);
  text += "\n" + paths(report, most_paths);
  for (const std::string& remark : report.remarks) text += "\n  note: " + remark + "\n";
  return text;
}

}  // namespace auxin::cli
