// SPDX-License-Identifier: Apache-2.0
#include "analysis/locks/lock_report_json.h"

#include <string_view>

namespace auxin::analysis {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchema = 1;

Json ratio(double part, double whole) {
  if (whole <= 0) return nullptr;
  return part / whole;
}

Json to_json(const Distribution& d) {
  return {{"median", d.median}, {"p5", d.low},   {"p95", d.high},
          {"least", d.least},   {"most", d.most}, {"mean", d.mean}};
}

Json to_json(const CallCounts& counts) {
  return {{"total", counts.calls},
          {"acquisitions", counts.acquisitions},
          {"intercepted", counts.intercepted},
          {"ordered", counts.ordered}};
}

CallCounts sum_of(const LockTableRow& row) {
  CallCounts sum = row.in_requests;
  sum += row.outside;
  sum += row.warm_up;
  return sum;
}

// What each system would do in a request: the three columns.
Json columns(const PerRequest& per) {
  return {{"intercepted",
           {{"os_only", to_json(per.calls)},
            {"multi_level", to_json(per.intercepted)},
            {"ratio", ratio(per.intercepted.mean, per.calls.mean)}}},
          {"ordered",
           {{"os_only", to_json(per.acquisitions)},
            {"multi_level", to_json(per.ordered)},
            {"ratio", ratio(per.ordered.mean, per.acquisitions.mean)}}}};
}

Json row_json(const LockTableRow& row, uint64_t requests) {
  Json json = to_json(sum_of(row));
  json["in_requests"] = to_json(row.in_requests);
  json["outside"] = to_json(row.outside);
  json["warm_up"] = to_json(row.warm_up);
  json["requests"] = row.requests;
  const double whole = static_cast<double>(requests);
  json["per_request"] = {
      {"total", ratio(static_cast<double>(row.in_requests.calls), whole)},
      {"intercepted", ratio(static_cast<double>(row.in_requests.intercepted), whole)},
      {"ordered", ratio(static_cast<double>(row.in_requests.ordered), whole)}};
  return json;
}

Json lines_of(const std::string& text) {
  Json lines = Json::array();
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

enum class Key { kCall, kLibrary, kJoinPoint, kPath };

Json rows_json(const std::vector<LockTableRow>& rows, Key key, uint64_t requests) {
  Json list = Json::array();
  for (const LockTableRow& row : rows) {
    Json entry = Json::object();
    switch (key) {
      case Key::kCall: entry["call"] = row.name; break;
      case Key::kLibrary: entry["library"] = row.name; break;
      case Key::kJoinPoint:
        entry["library"] = row.of;
        entry["join_point"] = row.name;
        break;
      case Key::kPath:
        entry["call"] = row.of;
        entry["path"] = lines_of(row.name);
        break;
    }
    entry.update(row_json(row, requests));
    list.push_back(std::move(entry));
  }
  return list;
}

Json operations_json(const std::vector<LockTableRow>& rows) {
  Json list = Json::array();
  for (const LockTableRow& row : rows) {
    Json entry = {{"operation", row.name}, {"requests", row.requests}};
    entry["columns"] = columns(row.per_request);
    entry["duration_us"] = to_json(row.per_request.duration_us);
    entry["in_requests"] = to_json(row.in_requests);
    entry["warm_up"] = to_json(row.warm_up);
    list.push_back(std::move(entry));
  }
  return list;
}

Json tree_json(const CallTreeNode& node) {
  Json json = {{"function", node.function}, {"library", node.library}};
  json["own"] = to_json(node.own);
  json["sum"] = to_json(node.sum);
  Json children = Json::array();
  for (const CallTreeNode& child : node.children) children.push_back(tree_json(child));
  json["children"] = std::move(children);
  return json;
}

const char* verdict_name(TimelineStep::Verdict verdict) {
  switch (verdict) {
    case TimelineStep::Verdict::kMark: return "mark";
    case TimelineStep::Verdict::kPassed: return "passed";
    case TimelineStep::Verdict::kIntercepted: return "intercepted";
    case TimelineStep::Verdict::kOrdered: return "ordered";
  }
  return "";
}

const char* layer_name(CallerLayer layer) {
  return layer == CallerLayer::kApplication ? "application" : "middleware";
}

Json timeline_json(const Timeline& timeline) {
  if (timeline.steps.empty()) return nullptr;
  Json steps = Json::array();
  for (const TimelineStep& step : timeline.steps) {
    steps.push_back({{"at_us", step.at_us},
                     {"duration_us", step.duration_us},
                     {"what", step.what},
                     {"verdict", verdict_name(step.verdict)},
                     {"layer", layer_name(step.layer)},
                     {"synchronises", step.synchronises},
                     {"library", step.library},
                     {"caller", step.caller},
                     {"join_point", step.join_point},
                     {"depth", step.depth},
                     {"result", step.result}});
  }
  return {{"operation", timeline.operation},
          {"thread", timeline.thread},
          {"duration_us", timeline.duration_us},
          {"steps", std::move(steps)}};
}

}  // namespace

Json to_json(const LockReport& report) {
  CallCounts all = report.in_requests;
  all += report.outside;
  all += report.warm_up;
  const uint64_t requests = report.requests + report.warm_up_requests;
  const auto per = [&](uint64_t count) {
    return ratio(static_cast<double>(count), static_cast<double>(requests));
  };
  Json json = {{"schema", kSchema},
               {"title", report.title},
               {"requests", requests},
               {"steady_requests", report.requests},
               {"warm_up_requests", report.warm_up_requests},
               {"duration_s", report.duration_s}};
  json.update(to_json(all));
  json["per_request"] = {{"total", per(all.calls)},
                         {"acquisitions", per(all.acquisitions)},
                         {"intercepted", per(all.intercepted)},
                         {"ordered", per(all.ordered)}};
  json["columns"] = columns(report.per_request);
  json["duration_us"] = to_json(report.per_request.duration_us);
  json["in_requests"] = to_json(report.in_requests);
  json["outside"] = to_json(report.outside);
  json["warm_up"] = to_json(report.warm_up);
  json["by_operation"] = operations_json(report.by_operation);
  json["by_call"] = rows_json(report.by_call, Key::kCall, report.requests);
  json["by_library"] = rows_json(report.by_library, Key::kLibrary, report.requests);
  json["by_join_point"] = rows_json(report.by_join_point, Key::kJoinPoint, report.requests);
  json["by_path"] = rows_json(report.by_path, Key::kPath, report.requests);
  json["tree"] = tree_json(report.tree);
  json["timeline"] = timeline_json(report.timeline);
  json["remarks"] = report.remarks;
  return json;
}

}  // namespace auxin::analysis
