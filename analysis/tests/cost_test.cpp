// SPDX-License-Identifier: Apache-2.0
//
// Goal: what is told of measured rounds is taken within each round. Method: rounds made by hand, on
// a machine that gets slower from one to the next.
#include "analysis/locks/cost.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace auxin::analysis {
namespace {

Round round_of(double native_per_s, std::array<double, 4> ratios) {
  Round round;
  for (size_t i = 0; i < round.size(); ++i)
    round[i] = RunCost{100, native_per_s * ratios[i], 1e6 / (native_per_s * ratios[i]), 50};
  return round;
}

TEST(Cost, RatiosAreTakenWithinARound) {
  const CostReport report = summarise({round_of(1000, {1, 1, 0.9, 0.5}),
                                       round_of(100, {1, 0.98, 0.8, 0.4}),
                                       round_of(10, {1, 0.96, 0.7, 0.3})});
  ASSERT_EQ(report.forms.size(), 4u);
  EXPECT_EQ(report.rounds, 3u);
  EXPECT_TRUE(report.round_trips);
  const FormCost& multi_level = report.forms[2];
  EXPECT_EQ(multi_level.form, Form::kMultiLevel);
  EXPECT_DOUBLE_EQ(multi_level.throughput_per_s.median, 80);
  EXPECT_DOUBLE_EQ(multi_level.throughput_ratio.median, 0.8);
  EXPECT_DOUBLE_EQ(multi_level.throughput_ratio.least, 0.7);
  EXPECT_DOUBLE_EQ(multi_level.throughput_ratio.most, 0.9);
  EXPECT_DOUBLE_EQ(report.forms[3].median_ratio.median, 1 / 0.4);
  EXPECT_DOUBLE_EQ(report.forms[0].p99_ratio.most, 1);
}

TEST(Cost, AnEvenNumberOfRoundsHasTheMeanOfTheMiddleTwo) {
  const CostReport report =
      summarise({round_of(100, {1, 1, 0.9, 0.5}), round_of(100, {1, 1, 0.7, 0.5})});
  EXPECT_DOUBLE_EQ(report.forms[2].throughput_ratio.median, 0.8);
}

TEST(Cost, WithoutRoundTripsThereAreNoLatencies) {
  Round round = round_of(100, {1, 1, 1, 1});
  round[3].round_trips = 0;
  const CostReport report = summarise({round});
  EXPECT_FALSE(report.round_trips);
  const nlohmann::json json = to_json(report);
  EXPECT_TRUE(json["forms"][0]["median_us"].is_null());
  EXPECT_DOUBLE_EQ(json["forms"][0]["throughput_per_s"]["median"], 100);
}

}  // namespace
}  // namespace auxin::analysis
