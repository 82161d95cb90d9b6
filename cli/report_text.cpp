// SPDX-License-Identifier: Apache-2.0
#include "cli/report_text.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <vector>

#include "replication/supervisor/sentence.h"

namespace auxin::cli {
namespace {

using supervisor::describe_bytes;
using supervisor::describe_microseconds;

// How many columns a UTF-8 text takes, for the characters we use.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

// Rows of cells, columns as wide as they need to be.
class Grid {
 public:
  // `alignment`: one letter per column, l or r.
  explicit Grid(std::string alignment) : alignment_(std::move(alignment)) {}

  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

  std::string text() const {
    std::vector<size_t> widths(alignment_.size());
    for (const auto& row : rows_) {
      for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
    }
    std::string text;
    for (const auto& row : rows_) {
      std::string line = " ";
      for (size_t i = 0; i < row.size(); ++i) {
        const std::string padding(widths[i] - width_of(row[i]), ' ');
        line += ' ' + (alignment_[i] == 'r' ? padding + row[i] : row[i] + padding) + ' ';
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + '\n';
    }
    return text;
  }

 private:
  std::string alignment_;
  std::vector<std::vector<std::string>> rows_;
};

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text.empty() ? "none" : text;
}

// 1234567 as 1 234 567.
std::string grouped(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, " ");
  }
  return digits;
}

std::string percent(uint64_t part, uint64_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.1f} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

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
    text += fmt::format("  facets: {}   maps: {}\n", joined(report.facets), joined(report.maps));
  }
  return text;
}

std::string replicas_text(const GroupReport& report) {
  Grid grid("rrlrrrrrl");
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
  Grid grid("lrrrrrl");
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

void add_lock_row(Grid& grid, const std::string& name, const std::string& join_point,
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
  for (const std::string& note : report.unsupported) {
    text += fmt::format("  unsupported: {}\n", note);
  }
  return text;
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
  Grid libraries("llrrrrr");
  libraries.add(heading("library", ""));
  for (const LockRow& row : counts.by_library) {
    add_lock_row(libraries, row.library, "", row, counts.requests);
  }
  add_lock_row(libraries, "all", "", all, counts.requests);
  text += libraries.text();

  Grid join_points("llrrrrr");
  join_points.add(heading("library", "join point"));
  bool any = false;
  for (const LockRow& row : counts.by_join_point) {
    if (row.join_point.empty()) continue;
    any = true;
    add_lock_row(join_points, row.library, row.join_point, row, counts.requests);
  }
  if (any) text += "\n" + join_points.text();
  return text;
}

}  // namespace auxin::cli
