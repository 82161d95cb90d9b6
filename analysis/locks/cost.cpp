// SPDX-License-Identifier: Apache-2.0
#include "analysis/locks/cost.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace auxin::analysis {
namespace {

using Json = nlohmann::json;

Range range_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle]
                                               : (values[middle - 1] + values[middle]) / 2;
  return Range{median, values.front(), values.back()};
}

size_t index_of(Form form) { return static_cast<size_t>(form); }

Range over(const std::vector<Round>& rounds, Form form, double RunCost::*figure) {
  std::vector<double> values;
  for (const Round& round : rounds) values.push_back(round[index_of(form)].*figure);
  return range_of(std::move(values));
}

Range ratio_over(const std::vector<Round>& rounds, Form form, double RunCost::*figure) {
  std::vector<double> values;
  for (const Round& round : rounds) {
    const double native = round[index_of(Form::kNative)].*figure;
    if (native > 0) values.push_back(round[index_of(form)].*figure / native);
  }
  return values.empty() ? Range{} : range_of(std::move(values));
}

Json to_json(const Range& range) {
  return {{"median", range.median}, {"least", range.least}, {"most", range.most}};
}

}  // namespace

const char* name_of(Form form) {
  switch (form) {
    case Form::kNative: return "native";
    case Form::kPreloaded: return "preloaded";
    case Form::kMultiLevel: return "multi-level";
    case Form::kEveryLock: return "every lock";
  }
  return "";
}

CostReport summarise(const std::vector<Round>& rounds) {
  CostReport report;
  report.rounds = static_cast<uint32_t>(rounds.size());
  report.round_trips = std::all_of(rounds.begin(), rounds.end(), [](const Round& round) {
    return std::all_of(round.begin(), round.end(),
                       [](const RunCost& cost) { return cost.round_trips > 0; });
  });
  for (const Form form : kForms) {
    FormCost cost;
    cost.form = form;
    cost.throughput_per_s = over(rounds, form, &RunCost::throughput_per_s);
    cost.throughput_ratio = ratio_over(rounds, form, &RunCost::throughput_per_s);
    if (report.round_trips) {
      cost.median_us = over(rounds, form, &RunCost::median_us);
      cost.p99_us = over(rounds, form, &RunCost::p99_us);
      cost.median_ratio = ratio_over(rounds, form, &RunCost::median_us);
      cost.p99_ratio = ratio_over(rounds, form, &RunCost::p99_us);
    }
    report.forms.push_back(cost);
  }
  return report;
}

nlohmann::json to_json(const CostReport& report) {
  Json forms = Json::array();
  for (const FormCost& cost : report.forms) {
    Json entry = {{"form", name_of(cost.form)},
                  {"throughput_per_s", to_json(cost.throughput_per_s)},
                  {"throughput_ratio", to_json(cost.throughput_ratio)}};
    entry["median_us"] = nullptr;
    entry["p99_us"] = nullptr;
    entry["median_ratio"] = nullptr;
    entry["p99_ratio"] = nullptr;
    if (report.round_trips) {
      entry["median_us"] = to_json(cost.median_us);
      entry["p99_us"] = to_json(cost.p99_us);
      entry["median_ratio"] = to_json(cost.median_ratio);
      entry["p99_ratio"] = to_json(cost.p99_ratio);
    }
    forms.push_back(std::move(entry));
  }
  return {{"rounds", report.rounds}, {"round_trips", report.round_trips}, {"forms", forms}};
}

}  // namespace auxin::analysis
