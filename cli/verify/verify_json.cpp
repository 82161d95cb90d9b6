// SPDX-License-Identifier: Apache-2.0
//
// A verification's report as JSON.
#include "cli/verify/verify_report.h"

namespace auxin::cli {
namespace {

Json json_of(const Failure& failure) {
  Json json;
  json["schedule"] = failure.name();
  json["base_seed"] = failure.base_seed;
  json["seed"] = failure.seed;
  json["end"] = name_of(failure.end);
  json["text"] = failure.text;
  json["operation"] = failure.operation;
  json["connection"] = failure.connection;
  json["request"] = failure.request;
  json["log_entry"] = failure.entry;
  if (failure.reply_differs) {
    json["reply"] = {{"offset", failure.offset},
                     {"bytes", failure.size_bytes},
                     {"leader_bytes", failure.leader_size_bytes},
                     {"shown_from", failure.kept_offset},
                     {"replica", failure.bytes},
                     {"leader", failure.leader_bytes}};
  }
  return json;
}

Json json_of(const analysis::OpenPair& pair) {
  return {{"outer_function", pair.outer_function}, {"outer_kind", pair.outer_kind},
          {"inner_function", pair.inner_function}, {"inner_kind", pair.inner_kind},
          {"others", pair.others},                 {"times", pair.times}};
}

Json json_of(const TriedLock& tried) {
  Json json = {{"kind", tried.lock.kind},
               {"functions", tried.lock.functions},
               {"call_sites", tried.lock.sites},
               {"acquisitions", tried.lock.acquisitions},
               {"objects", tried.lock.objects},
               {"needed", tried.need == Need::kNeeded},
               {"verdict", name_of(tried.need)},
               {"schedules", tried.schedules}};
  if (tried.need == Need::kNeeded) {
    json["caught"] = {{"schedule", tried.caught}, {"end", name_of(tried.caught_by)}};
  }
  return json;
}

template <class Values>
Json array_of(const Values& values) {
  Json array = Json::array();
  for (const auto& value : values) array.push_back(json_of(value));
  return array;
}

}  // namespace

Json to_json(const VerifyReport& report) {
  Json json;
  json["server"] = report.server;
  json["seed"] = report.seed;
  json["fine"] = report.fine();
  json["base_runs"] = report.base_runs;
  json["requests"] = report.requests;
  json["schedules"] = report.schedules;
  json["all_schedules"] = report.all_schedules;
  json["replies_compared"] = report.replies;
  json["seconds"] = report.seconds;
  json["rehearsal_seconds"] = report.rehearsal_s;
  json["schedules_a_minute"] =
      report.rehearsal_s > 0 ? static_cast<double>(report.all_schedules) * 60 / report.rehearsal_s
                             : 0.0;
  json["sufficient"] = {{"holds", report.sufficient()}, {"agreed", report.agreed},
                        {"diverged", report.diverged},  {"stalled", report.stalled},
                        {"crashed", report.crashed}};
  json["failures"] = array_of(report.failures);
  const Explanation& why = report.explanation;
  json["explanation"] = nullptr;
  if (!why.sentence.empty()) {
    json["explanation"] = {{"cause", name_of(why.cause)}, {"functions", why.functions},
                           {"other_pairs", why.others},   {"lock", why.lock_kind},
                           {"call", why.call},
                           {"seen_in", why.seen},         {"failures", why.of},
                           {"text", why.sentence}};
  }
  json["closed"] = {{"holds", report.closed()},
                    {"stalls_explained", report.stalls_explained},
                    {"open_pairs", array_of(report.open_pairs)}};
  json["minimal"] = {{"tried", report.minimal_tried},
                     {"holds", report.minimal_tried && report.minimal()},
                     {"locks", array_of(report.locks)}};
  json["sound"] = {{"holds", report.sound()},
                   {"data_race", why.cause == Cause::kDataRace},
                   {"value", why.cause == Cause::kValue}};
  add_unsupported(json, report.unsupported);
  if (!report.kept.empty()) json["kept"] = report.kept;
  if (!report.not_kept.empty()) json["not_kept"] = report.not_kept;
  return json;
}

}  // namespace auxin::cli
