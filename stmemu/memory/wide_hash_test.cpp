// SPDX-License-Identifier: Apache-2.0
//
// Goal: contents hash alike with every instruction set that this machine has, at every length.
#include "stmemu/memory/wide_hash.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace auxin::stm {
namespace {

TEST(WideHash, EveryVariantGivesTheSame) {
  std::mt19937_64 random(1);
  std::vector<char> bytes(20'000);
  for (char& byte : bytes) byte = static_cast<char>(random());
  __builtin_cpu_init();
  for (uint64_t size = 241; size <= bytes.size(); size += 1 + size / 7) {
    const uint64_t plain = wide_hash_sse2(bytes.data(), size);
    EXPECT_EQ(wide_hash(bytes.data(), size), plain);
    if (__builtin_cpu_supports("avx2")) {
      EXPECT_EQ(wide_hash_avx2(bytes.data(), size), plain);
    }
    if (__builtin_cpu_supports("avx512f")) {
      EXPECT_EQ(wide_hash_avx512(bytes.data(), size), plain);
    }
  }
}

}  // namespace
}  // namespace auxin::stm
