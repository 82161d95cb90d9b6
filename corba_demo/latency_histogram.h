// SPDX-License-Identifier: Apache-2.0
//
// A histogram of durations with a relative error below 1/64.
//
// Each power of two is cut into 64 equal buckets, so any quantile is found without keeping the
// values. Not thread-safe: one writer; plain data that may live in shared memory.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace bank {

class LatencyHistogram {
 public:
  void add(uint64_t value_ns) {
    ++counts_[index_of(value_ns)];
    ++count_;
    sum_ns_ += value_ns;
    max_ns_ = std::max(max_ns_, value_ns);
  }

  void merge(const LatencyHistogram& other) {
    for (unsigned i = 0; i < kBucketCount; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ns_ += other.sum_ns_;
    max_ns_ = std::max(max_ns_, other.max_ns_);
  }

  // The smallest bucket bound that at least the share `q` of all values is not above; 0 if empty.
  uint64_t quantile_ns(double q) const {
    const auto goal = static_cast<uint64_t>(q * static_cast<double>(count_) + 0.5);
    uint64_t seen = 0;
    for (unsigned i = 0; i < kBucketCount; ++i) {
      seen += counts_[i];
      if (seen >= goal && seen > 0) return std::min(upper_bound_of(i), max_ns_);
    }
    return max_ns_;
  }

  uint64_t count() const { return count_; }
  uint64_t max_ns() const { return max_ns_; }
  uint64_t mean_ns() const { return count_ == 0 ? 0 : sum_ns_ / count_; }

 private:
  static constexpr unsigned kSubBits = 6;
  static constexpr unsigned kSubCount = 1u << kSubBits;
  static constexpr unsigned kHighestBit = 40;  // about 18 minutes
  static constexpr unsigned kBucketCount = (kHighestBit - kSubBits + 2) * kSubCount;

  // Values below 64 have a bucket each; from there on the six bits after the leading one choose.
  static unsigned index_of(uint64_t value) {
    value = std::min(value, (uint64_t{1} << (kHighestBit + 1)) - 1);
    if (value < kSubCount) return static_cast<unsigned>(value);
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kSubBits;
    return (shift + 1) * kSubCount + static_cast<unsigned>((value >> shift) - kSubCount);
  }
  static uint64_t upper_bound_of(unsigned index) {
    if (index < kSubCount) return index;
    const unsigned shift = index / kSubCount - 1;
    return ((uint64_t{index % kSubCount} + kSubCount + 1) << shift) - 1;
  }

  uint64_t counts_[kBucketCount] = {};
  uint64_t count_ = 0;
  uint64_t sum_ns_ = 0;
  uint64_t max_ns_ = 0;
};

}  // namespace bank
