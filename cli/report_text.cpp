// SPDX-License-Identifier: Apache-2.0
#include "cli/report_text.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <vector>

#include "cli/text_table.h"
#include "replication/supervisor/sentence.h"

namespace auxin::cli {
namespace {

using supervisor::describe_bytes;
using supervisor::describe_microseconds;

std::string clock_time(uint64_t realtime_ns) {
  const time_t seconds = static_cast<time_t>(realtime_ns / 1'000'000'000);
  tm local;
  char text[32];
  if (localtime_r(&seconds, &local) == nullptr ||
      strftime(text, sizeof(text), "%F %T", &local) == 0) {
    return "-";
  }
  return text;
}

std::string head(const GroupReport& report) {
  std::string text = fmt::format("{}  {}, {}", report.name, report.style, report.phase);
  text += report.supervisor_pid != 0 ? fmt::format(", supervised by pid {}", report.supervisor_pid)
                                     : ", not supervised";
  text += fmt::format("\n  epoch {}   requests {}   replies {}\n", report.epoch,
                      grouped(report.requests), grouped(report.replies));
  if (!report.stop_reason.empty()) text += fmt::format("  stopped: {}\n", report.stop_reason);
  if (report.style != "none") {
    text += fmt::format("  log {} to {}, {} ({} % of {}); rejoin {}\n", grouped(report.log_begin),
                        grouped(report.log_end), describe_bytes(report.log_bytes),
                        report.log_used_percent, describe_bytes(report.log_capacity_bytes),
                        report.rejoin ? "possible" : "not possible");
    if (report.checkpoint != 0)
      text += fmt::format("  checkpoint {} at log entry {}{}\n", report.checkpoint,
                          grouped(report.checkpoint_position),
                          report.checkpoint_method.empty()
                              ? ""
                              : fmt::format(", taken by {}", report.checkpoint_method));
    if (!report.checkpoint_obstacle.empty())
      text += fmt::format("  no further checkpoint: {}\n", report.checkpoint_obstacle);
    text += fmt::format("  facets: {}   maps: {}\n", joined(report.facets), joined(report.maps));
  }
  return text;
}

std::string replicas_text(const GroupReport& report) {
  TextTable grid("rrlrrrrrl");
  grid.add({"replica", "pid", "role", "position", "lag", "compared", "mismatches", "starts",
            ""});
  for (const ReplicaReport& replica : report.replicas) {
    std::string remark = replica.message;
    if (remark.empty() && replica.role == "dead") remark = replica.last_end;
    if (remark.empty() && replica.pid != 0 && !replica.ready) remark = "not ready yet";
    grid.add({std::to_string(replica.id), replica.pid != 0 ? std::to_string(replica.pid) : "-",
              replica.role, grouped(replica.position), grouped(replica.lag),
              grouped(replica.compared), grouped(replica.mismatches),
              std::to_string(replica.starts), remark});
  }
  return grid.text();
}

std::string promotions_text(const GroupReport& report, size_t most) {
  if (report.promotions.empty()) return {};
  TextTable grid("lrrrrrl");
  grid.add({"promotion at", "epoch", "from", "to", "noticed", "served", ""});
  const size_t listed = std::min(most, report.promotions.size());
  for (size_t i = report.promotions.size() - listed; i < report.promotions.size(); ++i) {
    const PromotionReport& promotion = report.promotions[i];
    grid.add({clock_time(promotion.at_realtime_ns), std::to_string(promotion.epoch),
              promotion.from >= 0 ? std::to_string(promotion.from) : "-",
              std::to_string(promotion.to), describe_microseconds(promotion.detect_us),
              describe_microseconds(promotion.serve_us),
              fmt::format("{}; times since {}", promotion.reason, promotion.since)});
  }
  std::string text = "\n" + grid.text();
  if (report.promotion_count > listed) {
    text += fmt::format("  (the latest {} of {})\n", listed, report.promotion_count);
  }
  return text;
}

void add_lock_row(TextTable& grid, const std::string& name, const std::string& join_point,
                  const LockRow& row, uint64_t requests) {
  grid.add({name, join_point, grouped(row.total), grouped(row.intercepted), grouped(row.ordered),
            requests == 0 ? "-"
                          : fmt::format("{:.2f}", static_cast<double>(row.total) /
                                                      static_cast<double>(requests)),
            requests == 0 ? "-"
                          : fmt::format("{:.2f}", static_cast<double>(row.ordered) /
                                                      static_cast<double>(requests))});
}

}  // namespace

std::string to_text(const GroupReport& report, size_t promotions) {
  std::string text = head(report) + "\n" + replicas_text(report) +
                     promotions_text(report, promotions);
  text += fmt::format("\n  locks: {} calls, {} reached a meta-object ({}), {} ordered ({})\n",
                      grouped(report.locks.total), grouped(report.locks.intercepted),
                      percent(report.locks.intercepted, report.locks.total),
                      grouped(report.locks.ordered),
                      percent(report.locks.ordered, report.locks.total));
  for (const std::string& path : report.shared_files) {
    text += fmt::format("  several replicas write {} (give each its own, with {{replica}})\n",
                        path);
  }
  return text + to_text(report.locks.unsupported);
}

std::string to_text(const LockCounts& counts, const std::string& title) {
  const LockRow all = {"", "", counts.total, counts.intercepted, counts.ordered};
  std::string text = fmt::format("{}  synchronisation calls in {} requests\n\n", title,
                                 grouped(counts.requests));
  const std::vector<std::string> numbers = {"calls", "intercepted", "ordered", "calls/request",
                                            "ordered/request"};
  auto heading = [&](const char* first, const char* second) {
    std::vector<std::string> cells = {first, second};
    cells.insert(cells.end(), numbers.begin(), numbers.end());
    return cells;
  };
  TextTable libraries("llrrrrr");
  libraries.add(heading("library", ""));
  for (const LockRow& row : counts.by_library) {
    add_lock_row(libraries, row.library, "", row, counts.requests);
  }
  add_lock_row(libraries, "all", "", all, counts.requests);
  text += libraries.text();

  TextTable join_points("llrrrrr");
  join_points.add(heading("library", "join point"));
  bool any = false;
  for (const LockRow& row : counts.by_join_point) {
    if (row.join_point.empty()) continue;
    any = true;
    add_lock_row(join_points, row.library, row.join_point, row, counts.requests);
  }
  if (any) text += "\n" + join_points.text();
  if (!counts.unsupported.empty()) text += "\n" + to_text(counts.unsupported);
  return text;
}

}  // namespace auxin::cli
