// SPDX-License-Identifier: Apache-2.0
#include "latency_histogram.h"

#include <gtest/gtest.h>

#include <memory>

namespace bank {
namespace {

TEST(LatencyHistogram, FindsQuantilesWithin1In64) {
  const auto histogram = std::make_unique<LatencyHistogram>();
  for (uint64_t value = 1; value <= 100'000; ++value) histogram->add(value * 10);
  for (const double q : {0.5, 0.9, 0.99, 0.999}) {
    const double exact = q * 1'000'000;
    const auto found = static_cast<double>(histogram->quantile_ns(q));
    EXPECT_GE(found, exact * 0.999) << q;
    EXPECT_LE(found, exact * (1 + 1.0 / 64) + 10) << q;
  }
  EXPECT_EQ(histogram->quantile_ns(1), 1'000'000u);
  EXPECT_EQ(histogram->max_ns(), 1'000'000u);
  EXPECT_EQ(histogram->count(), 100'000u);
}

TEST(LatencyHistogram, KeepsSmallAndHugeValues) {
  const auto histogram = std::make_unique<LatencyHistogram>();
  EXPECT_EQ(histogram->quantile_ns(0.5), 0u);
  histogram->add(0);
  EXPECT_EQ(histogram->quantile_ns(0.5), 0u);
  histogram->add(63);
  histogram->add(~uint64_t{0});
  EXPECT_EQ(histogram->quantile_ns(0.5), 63u);
  EXPECT_EQ(histogram->max_ns(), ~uint64_t{0});
}

TEST(LatencyHistogram, MergesAsIfAllWereAddedToOne) {
  const auto a = std::make_unique<LatencyHistogram>(), b = std::make_unique<LatencyHistogram>();
  a->add(1000);
  b->add(5'000'000);
  b->add(6'000'000);
  a->merge(*b);
  EXPECT_EQ(a->count(), 3u);
  EXPECT_NEAR(static_cast<double>(a->quantile_ns(0.5)), 5e6, 5e6 / 64);
  EXPECT_EQ(a->max_ns(), 6'000'000u);
}

}  // namespace
}  // namespace bank
