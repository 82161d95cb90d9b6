// SPDX-License-Identifier: Apache-2.0
//
// Goal: one process of three may die at any step. It recovers what the others depend on and what
// was put out, they never go back, and all goes on to its end.
// Method: a system of three whose every receipt changes where its tokens go, with one process
// killed at each of its steps, or one after the other at random. At the end all receipts of all
// three are done again in one process, and each output is held against them.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <array>
#include <map>
#include <memory>
#include <set>

#include "../application.h"
#include "campaign.h"
#include "keeper.h"
#include "repetition.h"
#include "tests/harness/kill_one.h"

namespace auxin::checkpoint::test {
namespace {

using manetho::kProcesses;
using manetho::test::Ledger;

class System {
 public:
  System(uint64_t tokens, uint64_t hops, uint64_t every, size_t victim = kProcesses,
         uint64_t step = 0)
      : tokens_(tokens), hops_(hops) {
    for (size_t i = 0; i < kProcesses; ++i) {
      const std::vector<std::string> words{
          AUXIN_EXAMPLE_MANETHO_PROCESS, directory_.path(""), std::to_string(i),
          std::to_string(tokens), std::to_string(hops), std::to_string(every)};
      processes_[i] = std::make_unique<Keeper>(words, i == victim ? step : 0, output(i));
    }
  }

  Keeper& process(size_t i) { return *processes_[i]; }
  // Whether all tokens have ended, and their ends have been put out.
  bool has_ended() const {
    std::set<std::string> ended;
    uint64_t receipts = 0;
    for (size_t i = 0; i < kProcesses; ++i) {
      receipts += receipts_of(i);
      for (const Output& output : outputs(i)) {
        if (output.token != "0") ended.insert(output.token);
      }
    }
    const uint64_t tokens = tokens_ * kProcesses;
    return ended.size() == tokens && receipts == tokens * (hops_ + 1);
  }
  [[nodiscard]] bool await_end() const {
    for (int i = 0; i < 30'000; ++i) {
      if (has_ended()) return true;
      usleep(1000);
    }
    return false;
  }
  // Those of the process that there is now, when it said so last.
  uint64_t receipts_of(size_t i) const {
    const Keeper& process = *processes_[i];
    const std::string now = " as process " + std::to_string(process.pid());
    const bool is_killers_child = process.restarts() == 0;  // whose number the keeper has not
    uint64_t receipts = 0;
    bool counts = false;
    for (const std::string& line : lines_of(output(i))) {
      if (line.rfind("begins", 0) == 0) {
        counts = is_killers_child || line.find(now) == line.size() - now.size();
        receipts = 0;
      }
      if (counts && line.rfind("waits ", 0) == 0) receipts = std::stoull(line.substr(6));
    }
    return receipts;
  }
  // The process that there is now has said so.
  bool has_begun(size_t i) const {
    const std::string now = " as process " + std::to_string(processes_[i]->pid());
    for (const std::string& line : lines_of(output(i))) {
      if (line.find(now) != std::string::npos) return true;
    }
    return false;
  }
  // How often a process has said that it has repeated what others know of it.
  size_t recoveries(size_t i) const {
    size_t count = 0;
    for (const std::string& line : lines_of(output(i))) count += line.rfind("recovered", 0) == 0;
    return count;
  }

  // All that the first process has put out.
  std::string values() const {
    std::string values;
    for (const Output& output : outputs(0)) values += output.value + " ";
    return values;
  }
  // Ends all three, and holds what they say they did against what they put out.
  void check() {
    Ledger ledgers[kProcesses];
    for (size_t i = 0; i < kProcesses; ++i) {
      processes_[i]->hold(true);
      kill_one(processes_[i]->pid(), SIGTERM);
    }
    for (size_t i = 0; i < kProcesses; ++i) {
      while (is_alive(processes_[i]->pid())) usleep(200);
      ledgers[i] = manetho::test::read_ledger(directory_.path("ledger-" + std::to_string(i)));
    }
    EXPECT_EQ(manetho::test::repeat(ledgers, tokens_, hops_), "");
    for (size_t i = 0; i < kProcesses; ++i) check_outputs(i, ledgers[i]);
  }

 private:
  struct Output {
    uint64_t ordinal, interval;
    std::string token, value;
  };
  std::string output(size_t i) const { return directory_.path("output-" + std::to_string(i)); }
  std::vector<Output> outputs(size_t i) const {
    std::vector<Output> outputs;
    for (const std::string& line : lines_of(output(i))) {
      std::istringstream words(line);
      std::string verb;
      Output output{};
      if (words >> verb >> output.ordinal >> output.interval >> output.token >> output.value &&
          verb == "output") {
        outputs.push_back(output);
      }
    }
    return outputs;
  }
  // What is put out stays true: the same again after a death, and as the receipts have it.
  void check_outputs(size_t process, const Ledger& ledger) const {
    std::map<uint64_t, Output> by_ordinal;
    for (const Output& output : outputs(process)) {
      const auto [at, is_new] = by_ordinal.emplace(output.ordinal, output);
      const Output& first = at->second;
      EXPECT_TRUE(first.interval == output.interval && first.token == output.token &&
                  first.value == output.value)
          << "process " << process << " has put output " << output.ordinal << " out twice, as "
          << first.value << " and " << output.value;
      ASSERT_TRUE(output.interval >= 1 && output.interval <= ledger.size())
          << "process " << process << ": output " << output.ordinal << " was undone";
      EXPECT_EQ(std::stoull(output.value, nullptr, 16), ledger[output.interval - 1].value)
          << "process " << process << ": output " << output.ordinal << " was undone";
    }
    EXPECT_FALSE(by_ordinal.empty());
    if (!by_ordinal.empty()) {
      EXPECT_EQ(by_ordinal.rbegin()->first, by_ordinal.size()) << "an output is missing";
    }
  }

  const uint64_t tokens_, hops_;
  Directory directory_;
  std::array<std::unique_ptr<Keeper>, kProcesses> processes_;
};

class ManethoVictim : public testing::TestWithParam<size_t> {};

TEST_P(ManethoVictim, KilledAtAnyStepItRecoversAndTheOthersDoNotGoBack) {
  Stride stride(60);
  uint64_t deaths = 0, survivals = 0;  // in a row: it has fewer steps than that
  for (uint64_t step = stride.next(); survivals < (is_long() ? 20 : 2); step += stride.next()) {
    SCOPED_TRACE("step " + std::to_string(step));
    System system(2, 20, 5, GetParam(), step);
    ASSERT_TRUE(system.await_end());
    const bool died = system.process(GetParam()).restarts() > 0;
    survivals = died ? 0 : survivals + 1;
    deaths += died;
    // It must not die while it ends.
    if (!died) kill_one(system.process(GetParam()).pid(), SIGUSR1);
    while (system.process(GetParam()).restarts() == 0) usleep(200);
    ASSERT_TRUE(system.await_end());
    for (size_t i = 0; i < kProcesses; ++i) {
      const int allowed = i == GetParam() ? 1 : 0;
      EXPECT_LE(system.process(i).restarts(), allowed) << "process " << i;
    }
    system.check();
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(deaths, 3u);
}

INSTANTIATE_TEST_SUITE_P(Process, ManethoVictim, testing::Values(0, 1, 2));

TEST(Manetho, OneProcessAfterTheOtherDiesAtRandom) {
  std::mt19937_64 random(seed());
  for (int round = 0; round < (is_long() ? 60 : 3); ++round) {
    System system(3, 250, 7);
    std::array<size_t, kProcesses> expected{1, 1, 1};
    int kills = 0;
    while (!system.has_ended()) {
      const size_t victim = random() % kProcesses;
      usleep(static_cast<useconds_t>(random() % 20'000));
      if (system.recoveries(victim) < expected[victim]) continue;
      const pid_t pid = system.process(victim).pid();
      kill_one(pid, SIGKILL);
      ++expected[victim];
      ++kills;
      // One death at a time.
      for (int i = 0; system.recoveries(victim) < expected[victim]; ++i) {
        ASSERT_LT(i, 20'000) << "it does not recover";
        usleep(500);
      }
    }
    EXPECT_GT(kills, 0);
    ASSERT_TRUE(system.await_end());
    system.check();
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

TEST(Manetho, WhoRecoversReceivesNothingBeforeBothOthersHaveSaidWhatTheyKnow) {
  System system(3, 250, 7);
  while (system.recoveries(0) == 0 || system.receipts_of(0) == 0) usleep(100);
  kill_one(system.process(2).pid(), SIGSTOP);
  kill_one(system.process(0).pid(), SIGKILL);
  while (system.process(0).restarts() == 0 || !system.has_begun(0)) usleep(200);
  usleep(100'000);  // the hello of process 1, and its messages, come meanwhile
  EXPECT_EQ(system.recoveries(0), 1u);
  kill_one(system.process(2).pid(), SIGCONT);
  ASSERT_TRUE(system.await_end());
  EXPECT_EQ(system.recoveries(0), 2u);
  system.check();
}

TEST(Manetho, WithoutADeathTheOrderOfReceiptsIsNotAlwaysTheSame) {
  std::set<std::string> values;
  for (int round = 0; round < 8; ++round) {
    System system(2, 20, 5);
    ASSERT_TRUE(system.await_end());
    values.insert(system.values());
    system.check();
  }
  EXPECT_GT(values.size(), 1u) << "nothing that would have to be repeated";
}

}  // namespace
}  // namespace auxin::checkpoint::test
