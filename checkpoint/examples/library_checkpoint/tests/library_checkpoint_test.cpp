// SPDX-License-Identifier: Apache-2.0
//
// Goal: a computation that is killed anywhere, any number of times, has the result of one that was
// not, and repeats at most what came after its last checkpoint. The watchdog restarts what dies or
// hangs, and gives up what dies of itself.
// Method: the program killed at each of its steps; and again and again, under the watchdog.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "campaign.h"
#include "program.h"
#include "tests/harness/kill_one.h"

namespace auxin::checkpoint::test {
namespace {

constexpr uint64_t kEvery = 1000;

class LibraryCheckpoint : public testing::Test {
 protected:
  // A computation of its own directory and result.
  std::vector<std::string> computation(const std::string& name, uint64_t limit = 12'000) {
    return {AUXIN_EXAMPLE_LONGEST_CHAIN, directory_.path(name), directory_.path(name + ".result"),
            std::to_string(limit), std::to_string(kEvery)};
  }
  std::string result(const std::string& name) {
    return contents(directory_.path(name + ".result"));
  }
  // Of the words at the beginning of lines: "checkpoint 3000".
  static uint64_t last_number(const std::string& path, const std::string& word) {
    uint64_t number = 0;
    for (const std::string& line : lines_of(path)) {
      if (line.rfind(word + " ", 0) == 0) number = std::stoull(line.substr(word.size() + 1));
    }
    return number;
  }
  std::vector<std::string> watched(const std::vector<std::string>& command,
                                   std::vector<std::string> options = {}) {
    options.insert(options.begin(), AUXIN_EXAMPLE_WATCHDOG);
    options.insert(options.end(), command.begin(), command.end());
    return options;
  }

  Directory directory_;
};

TEST_F(LibraryCheckpoint, AProgramKilledAtAnyStepRepeatsAtMostWhatCameAfterItsLastCheckpoint) {
  ASSERT_EQ(Program(computation("undisturbed")).wait(), 0);
  const std::string expected = result("undisturbed");
  ASSERT_NE(expected, "");
  Stride stride(12);
  uint64_t steps = 0, recoveries = 0;
  for (uint64_t step = stride.next();; step += stride.next(), ++steps) {
    const std::string name = std::to_string(step), output = directory_.path(name + ".output");
    const int status = Program::killed_at(step, computation(name), output).wait();
    ASSERT_TRUE(status == 0 || WTERMSIG(status) == SIGKILL) << "step " << step;
    const uint64_t told = last_number(output, "checkpoint");
    // Under the watchdog: by method fork, a child of the dead may have the store for a moment.
    ASSERT_EQ(Program(watched(computation(name)), output).wait(), 0) << "step " << step;
    const uint64_t recovered = last_number(output, "recovered");
    ASSERT_TRUE(recovered == told || recovered == told + kEvery)
        << "step " << step << ": the last checkpoint was " << told << ", it began at " << recovered;
    ASSERT_EQ(result(name), expected) << "step " << step;
    recoveries += recovered != 0;
    std::filesystem::remove_all(directory_.path(name));
    if (status == 0) break;
  }
  EXPECT_GT(steps, 8u);
  EXPECT_GT(recoveries, 4u);
}

TEST_F(LibraryCheckpoint, UnderTheWatchdogItEndsHoweverOftenItDies) {
  ASSERT_EQ(Program(computation("undisturbed", 200'000)).wait(), 0);
  // Each run dies at the same step, some checkpoints after its start.
  std::vector<std::string> dying = computation("dying", 200'000);
  dying.insert(dying.begin(), {AUXIN_EXAMPLE_KILLED_AT, "600"});
  const std::string output = directory_.path("output");
  EXPECT_EQ(Program(watched(dying, {"--restarts", "3", "--pause", "1"}), output).wait(), 0);
  EXPECT_EQ(result("dying"), result("undisturbed"));
  int starts = 0;
  for (const std::string& line : lines_of(output)) starts += line.rfind("started", 0) == 0;
  EXPECT_GT(starts, 4) << "more restarts than are allowed in a row";
}

TEST_F(LibraryCheckpoint, RandomKillsLeaveTheResultAsItIs) {
  constexpr uint64_t kLimit = 3'000'000;
  ASSERT_EQ(Program(computation("undisturbed", kLimit)).wait(), 0);
  std::mt19937_64 random(seed());
  for (int round = 0; round < (is_long() ? 50 : 2); ++round) {
    const std::string name = std::to_string(round), output = directory_.path(name + ".output");
    Program watchdog(watched(computation(name, kLimit), {"--restarts", "1000", "--pause", "1"}),
                     output);
    int kills = 0;
    while (watchdog.runs()) {
      usleep(static_cast<useconds_t>(random() % 60'000));
      const uint64_t pid = last_number(output, "started");
      if (watchdog.runs() && pid != 0 && kill_one(static_cast<pid_t>(pid), SIGKILL)) ++kills;
    }
    EXPECT_EQ(watchdog.wait(), 0);
    EXPECT_EQ(result(name), result("undisturbed"));
    EXPECT_GT(kills, 1);
    std::filesystem::remove_all(directory_.path(name));
  }
}

TEST_F(LibraryCheckpoint, AProgramThatHangsIsKilledAndStartedAgain) {
  const std::string output = directory_.path("output");
  Program watchdog(watched(computation("hanging", 3'000'000), {"--hang", "700"}), output);
  while (last_number(output, "checkpoint") == 0) usleep(1000);
  const uint64_t pid = last_number(output, "started");
  ASSERT_TRUE(kill_one(static_cast<pid_t>(pid), SIGSTOP));
  EXPECT_EQ(watchdog.wait(), 0);
  EXPECT_NE(contents(output).find("hangs " + std::to_string(pid)), std::string::npos);
  EXPECT_GT(last_number(output, "recovered"), 0u);
  EXPECT_NE(result("hanging"), "");
}

TEST_F(LibraryCheckpoint, AProgramThatDiesOfItselfIsGivenUp) {
  const std::string output = directory_.path("output");
  const int status =
      Program(watched({"/bin/false"}, {"--restarts", "4", "--pause", "1"}), output).wait();
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_NE(contents(output).find("given up after 4 restarts"), std::string::npos);
}

TEST_F(LibraryCheckpoint, TheProgramDoesNotOutliveItsWatchdog) {
  const std::string output = directory_.path("output");
  {
    Program watchdog(watched(computation("orphan", 2'000'000'000)), output);
    while (last_number(output, "checkpoint") == 0) usleep(1000);
  }
  const pid_t pid = static_cast<pid_t>(last_number(output, "started"));
  for (int i = 0; i < 5000 && is_alive(pid); ++i) usleep(1000);
  EXPECT_FALSE(is_alive(pid));
}

}  // namespace
}  // namespace auxin::checkpoint::test
