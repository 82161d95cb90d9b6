// SPDX-License-Identifier: Apache-2.0
//
// Values in the order in which they came, with a digest of it.
//
// Thread safety: none; whoever has one guards it, or the manifest says why not.
#pragma once

#include <cstdint>
#include <vector>

namespace known {

class History {
 public:
  // Returns the digest, which depends on all values so far and their order; never negative.
  int64_t append(int64_t value) {
    values_.push_back(value);
    digest_ = (digest_ ^ static_cast<uint64_t>(value)) * 1099511628211ull;
    digest_ ^= digest_ >> 32;
    return digest();
  }
  int64_t digest() const { return static_cast<int64_t>(digest_ >> 1); }
  const std::vector<int64_t>& values() const { return values_; }

 private:
  std::vector<int64_t> values_;
  uint64_t digest_ = 14695981039346656037ull;
};

}  // namespace known
