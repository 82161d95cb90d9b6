// SPDX-License-Identifier: Apache-2.0
//
// What each choice of locks costs a server: the same load on the server as it is, with the preload,
// with the contention points ordered, and with every lock ordered.
//
// Ratios are taken within a round, where the forms ran one after the other, so that what else the
// machine does falls out of them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace auxin::analysis {

enum class Form : uint8_t { kNative, kPreloaded, kMultiLevel, kEveryLock };
inline constexpr std::array<Form, 4> kForms = {Form::kNative, Form::kPreloaded, Form::kMultiLevel,
                                               Form::kEveryLock};
const char* name_of(Form form);

// One run of the load. Without round trips (no client whose connections could be watched) the
// latencies are 0 and the throughput is one load per its duration.
struct RunCost {
  uint64_t round_trips = 0;
  double throughput_per_s = 0;
  double median_us = 0, p99_us = 0;  // of the round trips, as the clients saw them
};

using Round = std::array<RunCost, kForms.size()>;  // by Form

struct Range {
  double median = 0, least = 0, most = 0;
};

struct FormCost {
  Form form = Form::kNative;
  Range throughput_per_s, median_us, p99_us;
  Range throughput_ratio, median_ratio, p99_ratio;  // to the native run of the same round
};

struct CostReport {
  uint32_t rounds = 0;
  bool round_trips = false;  // false: there are no latencies
  std::vector<FormCost> forms;
};

// `rounds`: at least one.
CostReport summarise(const std::vector<Round>& rounds);

nlohmann::json to_json(const CostReport& report);

}  // namespace auxin::analysis
