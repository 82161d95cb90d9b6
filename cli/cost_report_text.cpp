// SPDX-License-Identifier: Apache-2.0
#include "cli/cost_report_text.h"

#include <fmt/format.h>

#include "cli/text_table.h"

namespace auxin::cli {
namespace {

using analysis::CostReport;
using analysis::FormCost;
using analysis::Range;

std::string figure(const Range& range, int digits) {
  return fmt::format("{:.{}f}", range.median, digits);
}

std::string ratio(const Range& range) {
  return fmt::format("{:.2f} ({:.2f} to {:.2f})", range.median, range.least, range.most);
}

}  // namespace

std::string to_text(const CostReport& report) {
  TextTable table("lrrrrrr");
  if (report.round_trips) {
    table.add({"cost", "calls/s", "ratio", "median us", "ratio", "p99 us", "ratio"});
  } else {
    table.add({"cost", "loads/s", "ratio", "", "", "", ""});
  }
  for (const FormCost& cost : report.forms) {
    if (report.round_trips) {
      table.add({analysis::name_of(cost.form), figure(cost.throughput_per_s, 0),
                 ratio(cost.throughput_ratio), figure(cost.median_us, 1), ratio(cost.median_ratio),
                 figure(cost.p99_us, 1), ratio(cost.p99_ratio)});
    } else {
      table.add({analysis::name_of(cost.form), figure(cost.throughput_per_s, 3),
                 ratio(cost.throughput_ratio), "", "", "", ""});
    }
  }
  std::string text = table.text();
  text += fmt::format(
      "  medians of {} rounds; ratios to the native run of the same round, with their range.\n"
      "  preloaded: nothing is ordered; multi-level and every lock: a group of one replica\n",
      report.rounds);
  if (!report.round_trips) {
    text += "  no client's connections could be watched (a client that is linked statically, or "
            "sets\n  its own LD_PRELOAD): there are no latencies, and a load is told as a whole\n";
  }
  return text;
}

}  // namespace auxin::cli
