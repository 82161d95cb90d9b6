// SPDX-License-Identifier: Apache-2.0
#include "cli/report_json.h"

namespace auxin::cli {
namespace {

constexpr int kStatusSchema = 1;

Json rows_json(const std::vector<LockRow>& rows, bool with_join_point) {
  Json list = Json::array();
  for (const LockRow& row : rows) {
    Json entry = {{"library", row.library}};
    if (with_join_point) entry["join_point"] = row.join_point;
    entry["total"] = row.total;
    entry["intercepted"] = row.intercepted;
    entry["ordered"] = row.ordered;
    list.push_back(std::move(entry));
  }
  return list;
}

Json replica_json(const ReplicaReport& replica) {
  return {{"id", replica.id},
          {"pid", replica.pid},
          {"role", replica.role},
          {"position", replica.position},
          {"lag", replica.lag},
          {"compared", replica.compared},
          {"mismatches", replica.mismatches},
          {"ready", replica.ready},
          {"starts", replica.starts},
          {"last_end", replica.last_end},
          {"message", replica.message}};
}

Json promotion_json(const PromotionReport& promotion) {
  return {{"epoch", promotion.epoch},
          {"from", promotion.from},
          {"to", promotion.to},
          {"detect_us", promotion.detect_us},
          {"serve_us", promotion.serve_us},
          {"since", promotion.since},
          {"reason", promotion.reason},
          {"at_realtime_ns", promotion.at_realtime_ns},
          {"log_position", promotion.log_position}};
}

double per(uint64_t count, uint64_t requests) {
  return static_cast<double>(count) / static_cast<double>(requests);
}

}  // namespace

void add_unsupported(Json& json, const std::vector<UnsupportedLine>& lines) {
  json["unsupported"] = Json::array();
  json["unsupported_uses"] = Json::array();
  for (const UnsupportedLine& line : lines) {
    json["unsupported"].push_back(line.text());
    if (line.use.empty()) continue;
    json["unsupported_uses"].push_back({{"use", line.use},
                                        {"module", line.module},
                                        {"symbol", line.symbol},
                                        {"what", line.what},
                                        {"means", line.means},
                                        {"advice", line.advice}});
  }
}

Json to_json(const GroupReport& report) {
  Json json = {{"schema", kStatusSchema},
               {"name", report.name},
               {"style", report.style},
               {"phase", report.phase},
               {"stop_reason", report.stop_reason},
               {"supervisor_pid", report.supervisor_pid},
               {"state_directory", report.state_directory},
               {"epoch", report.epoch},
               {"facets", report.facets},
               {"maps", report.maps},
               {"rejoin", report.rejoin},
               {"checkpoint",
                report.checkpoint == 0 ? Json(nullptr)
                                       : Json{{"number", report.checkpoint},
                                              {"log_position", report.checkpoint_position},
                                              {"method", report.checkpoint_method}}},
               {"checkpoint_obstacle", report.checkpoint_obstacle},
               {"replicas", Json::array()},
               {"log",
                {{"begin", report.log_begin},
                 {"end", report.log_end},
                 {"bytes", report.log_bytes},
                 {"capacity_entries", report.log_capacity_entries},
                 {"capacity_bytes", report.log_capacity_bytes},
                 {"used_percent", report.log_used_percent}}},
               {"requests", report.requests},
               {"replies", report.replies},
               {"locks",
                {{"total", report.locks.total},
                 {"intercepted", report.locks.intercepted},
                 {"ordered", report.locks.ordered}}},
               {"promotion_count", report.promotion_count},
               {"promotions", Json::array()},
               {"shared_files", report.shared_files},
               {"unsupported", Json::array()}};
  add_unsupported(json, report.locks.unsupported);
  for (const auto& replica : report.replicas) json["replicas"].push_back(replica_json(replica));
  for (const auto& promotion : report.promotions) {
    json["promotions"].push_back(promotion_json(promotion));
  }
  return json;
}

Json to_json(const LockCounts& counts) {
  Json json = {{"schema", kStatusSchema},
               {"requests", counts.requests},
               {"total", counts.total},
               {"intercepted", counts.intercepted},
               {"ordered", counts.ordered}};
  if (counts.requests > 0) {
    json["per_request"] = {{"total", per(counts.total, counts.requests)},
                           {"intercepted", per(counts.intercepted, counts.requests)},
                           {"ordered", per(counts.ordered, counts.requests)}};
  } else {
    json["per_request"] = {{"total", nullptr}, {"intercepted", nullptr}, {"ordered", nullptr}};
  }
  json["by_library"] = rows_json(counts.by_library, false);
  json["by_join_point"] = rows_json(counts.by_join_point, true);
  add_unsupported(json, counts.unsupported);
  return json;
}

std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace auxin::cli
