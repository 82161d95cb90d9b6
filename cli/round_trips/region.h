// SPDX-License-Identifier: Apache-2.0
//
// What the clients of a measured run count together, in a file that all of them map: the times from
// a send to the first bytes that come back, on connections that a client opened itself.
//
// The buckets are logarithmic with 16 linear steps in each power of two: a value is known to 6 %.
// Plain data, shared between processes of one build: made by the command, gone after the run.
//
// Thread safety: any thread of any process; each word by itself.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

namespace auxin::round_trips {

inline constexpr char kFileVariable[] = "AUXIN_ROUND_TRIPS";  // path of the region
inline constexpr uint64_t kMagic = 0x3170697274787561;        // "auxtrip1"
inline constexpr int kSteps = 16;                              // linear ones, a power of two
inline constexpr int kBuckets = 61 * kSteps;                   // reaches over all 64-bit values

struct Region {
  uint64_t magic;
  std::atomic<uint64_t> first_ns, last_ns;  // CLOCK_MONOTONIC: the first send, the last answer; 0
  std::atomic<uint64_t> buckets[kBuckets];
};

constexpr int bucket_of(uint64_t value_ns) {
  if (value_ns < kSteps) return static_cast<int>(value_ns);
  const int octave = std::bit_width(value_ns) - 5;  // below it the four bits that count
  return (octave + 1) * kSteps + static_cast<int>((value_ns >> octave) - kSteps);
}

// The middle of a bucket.
constexpr double value_of_bucket(int bucket) {
  if (bucket < kSteps) return bucket;
  const int octave = bucket / kSteps - 1;
  const double width = static_cast<double>(uint64_t{1} << octave);
  return (bucket % kSteps + kSteps + 0.5) * width;
}

static_assert(bucket_of(15) == 15 && bucket_of(16) == 16 && bucket_of(31) == 31);
static_assert(bucket_of(32) == 32 && bucket_of(33) == 32 && bucket_of(34) == 33);
static_assert(bucket_of(~uint64_t{0}) == kBuckets - 1);

}  // namespace auxin::round_trips
