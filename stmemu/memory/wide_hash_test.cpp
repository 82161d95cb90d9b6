// SPDX-License-Identifier: Apache-2.0
//
// Goal: contents hash alike with every instruction set that this machine has, at every length.
#include "stmemu/memory/wide_hash.h"

#include <gtest/gtest.h>

#include "stmemu/memory/judgement.h"

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

TEST(WideHash, ShortContentsHaveXxHashsOwnHash) {
  std::mt19937_64 random(3);
  for (uint64_t size = 0; size <= kShortBytes; ++size) {
    std::vector<char> bytes(size);
    for (char& byte : bytes) byte = static_cast<char>(random());
    const uint64_t seed = random();
    EXPECT_EQ(contents_hash(bytes.data(), size, seed),
              XXH3_64bits_withSeed(bytes.data(), size, seed)) << size;
  }
}

TEST(WideHash, EveryDifferenceOfShortContentsIsSeen) {
  std::vector<char> bytes(kShortBytes, 'a'), copy = bytes;
  for (uint64_t size = 8; size <= kShortBytes; size += 8) {
    EXPECT_TRUE(equal_in_line(bytes.data(), copy.data(), size)) << size;
    for (uint64_t at = 0; at < kShortBytes; ++at) {
      copy[at] = 'b';
      EXPECT_EQ(equal_in_line(bytes.data(), copy.data(), size), at >= size) << at << ", " << size;
      copy[at] = 'a';
    }
  }
}

TEST(WideHash, ComparedWithAnotherCopyItIsTheSameAndEveryDifferenceIsSeen) {
  std::mt19937_64 random(2);
  std::vector<char> bytes(5'000);
  for (char& byte : bytes) byte = static_cast<char>(random());
  std::vector<char> copy = bytes;
  for (uint64_t size = 241; size <= bytes.size(); size += 1 + size / 5) {
    bool same = false;
    EXPECT_EQ(wide_hash_and_compare(bytes.data(), copy.data(), size, &same),
              wide_hash(bytes.data(), size));
    EXPECT_TRUE(same) << size;
    for (uint64_t at = 0; at < size; ++at) {
      copy[at] = static_cast<char>(copy[at] ^ 1 << at % 8);
      EXPECT_EQ(wide_hash_and_compare(bytes.data(), copy.data(), size, &same),
                wide_hash(bytes.data(), size));
      EXPECT_FALSE(same) << at << " of " << size;
      copy[at] = bytes[at];
    }
    if (size < copy.size()) {  // what is beyond is not looked at
      copy[size] = static_cast<char>(copy[size] ^ 1);
      static_cast<void>(wide_hash_and_compare(bytes.data(), copy.data(), size, &same));
      EXPECT_TRUE(same) << size;
      copy[size] = bytes[size];
    }
  }
}

}  // namespace
}  // namespace auxin::stm
