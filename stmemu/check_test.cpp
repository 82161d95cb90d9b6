// SPDX-License-Identifier: Apache-2.0
#include "stmemu/check.h"

#include <gtest/gtest.h>
#include <limits.h>

#include <string>

#include "stmemu/result.h"

namespace auxin {
namespace {

TEST(CheckTest, ATrueConditionDoesNothingAndIsEvaluatedOnce) {
  int evaluated = 0;
  CHECK(++evaluated == 1, "never printed");
  EXPECT_EQ(evaluated, 1);
}

TEST(CheckTest, AFalseConditionSaysWhereWhatAndWhyInOneLineAndAborts) {
  EXPECT_EXIT(CHECK(1 + 1 == 3, "sums are right"), testing::KilledBySignal(SIGABRT),
              "^auxin: CHECK failed at .*check_test.cpp:[0-9]+: 1 \\+ 1 == 3: sums are right\n$");
}

TEST(CheckTest, AnyLineNumberIsWritten) {
  EXPECT_DEATH(check_failed("f", 0, "c", "w"), "at f:0: c: w\n");
  EXPECT_DEATH(check_failed("f", INT_MAX, "c", "w"), "at f:2147483647: c: w\n");
}

TEST(CheckTest, ALongTextIsCutButStaysALine) {
  const std::string text(4000, 'x');
  EXPECT_DEATH(check_failed("f", 1, text.c_str(), "w"), "f:1: x{480}x*\n");
}

TEST(ResultTest, HoldsAValueOrASentence) {
  Result<std::string> good(std::string("value"));
  ASSERT_TRUE(good);
  EXPECT_EQ(*good, "value");
  EXPECT_EQ(good->size(), 5u);
  Result<std::string> bad(Error{"/x: no such file"});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error(), "/x: no such file");
}

}  // namespace
}  // namespace auxin
