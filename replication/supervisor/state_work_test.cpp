// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/state_work.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace auxin::supervisor {
namespace {

std::string outcome_of(const StateWork::Work& work) {
  StateWork state_work;
  EXPECT_EQ(state_work.begin(work), "");
  int status = 0;
  waitpid(-1, &status, 0);
  const auto ended = state_work.ended();
  EXPECT_TRUE(ended.has_value());
  EXPECT_FALSE(state_work.running());
  EXPECT_FALSE(state_work.ended().has_value());
  return ended.value_or("it has not ended");
}

TEST(StateWork, TellsHowItEnded) {
  EXPECT_EQ(outcome_of([] { return ""; }), "");
  EXPECT_EQ(outcome_of([] { return "no state"; }), "no state");
}

TEST(StateWork, TellsThatItsProcessDied) {
  EXPECT_EQ(outcome_of([] {
              raise(SIGKILL);
              return "";
            }),
            "the process that called the objects died");
}

TEST(StateWork, HasNotEndedWhileItRuns) {
  int held[2];
  ASSERT_EQ(pipe(held), 0);
  StateWork state_work;
  ASSERT_EQ(state_work.begin([&]() -> std::string {
    char byte;
    return read(held[0], &byte, 1) == 1 ? "" : "nothing came";
  }), "");
  EXPECT_FALSE(state_work.ended().has_value());
  EXPECT_TRUE(state_work.running());
  ASSERT_EQ(write(held[1], "x", 1), 1);
  waitpid(-1, nullptr, 0);
  EXPECT_EQ(state_work.ended(), "");
  close(held[0]);
  close(held[1]);
}

}  // namespace
}  // namespace auxin::supervisor
