// SPDX-License-Identifier: Apache-2.0
//
// Goal: a stable node over an isolated memory. Whichever of the two processors and the controller
// die, in whatever order, no acknowledged transaction is lost, no transaction is half there, one
// processor at a time has the memory, and whoever is left goes on once there is a controller.
// Method: processors and controller are child processes, killed at will and at random
// (AUXIN_ROUNDS, AUXIN_SEED).
#include <stdlib.h>

#include "stmemu/node/test_processor.h"

namespace auxin::stm {
namespace {

Work work_of(int threads) {
  Work work;
  work.threads = threads;
  work.options.grace_ms = 0;
  return work;
}

class IsolatedNode : public testing::Test {
 protected:
  void start_both(int threads) {
    primary_.start(file_.path(), as_primary, work_of(threads));
    ASSERT_TRUE(primary_.joins()) << primary_->sentence;
    backup_.start(file_.path(), as_backup, work_of(threads));
    ASSERT_TRUE(backup_.joins()) << backup_->sentence;
    ASSERT_TRUE(primary_.works());
  }
  void expect_promoted(Processor& processor) {
    EXPECT_TRUE(processor.becomes(NodeState::kActive));
    EXPECT_TRUE(eventually(
        [&] { return processor->change == static_cast<int>(NodeChange::kPromoted); }));
    EXPECT_TRUE(processor.works()) << processor->sentence;
    EXPECT_EQ(processor->failed, 0) << processor->sentence;
  }
  void expect_all_sound() {
    EXPECT_EQ(primary_->failed, 0) << primary_->sentence;
    EXPECT_EQ(backup_->failed, 0) << backup_->sentence;
    const uint64_t acknowledged = primary_.acknowledged() + backup_.acknowledged();
    primary_.kill();
    backup_.kill();
    // The memory is its node's while the controller lives that saw it: no stranger may look.
    file_.stop_controller(SIGKILL);
    file_.start_controller();
    expect_sound(file_, acknowledged);
  }

  NodeFile file_{Mode::kIsolated, 16 << 20};
  Processor primary_, backup_;
};

TEST_F(IsolatedNode, WithoutAControllerNobodyJoinsAndIsToldWhatToDo) {
  file_.stop_controller(SIGKILL);
  primary_.start(file_.path(), as_primary, work_of(1));
  EXPECT_FALSE(primary_.joins());
  EXPECT_EQ(primary_->status, static_cast<int>(Status::kUnreachable));
  EXPECT_NE(std::string(primary_->sentence).find("auxin stm serve"), std::string::npos)
      << primary_->sentence;
  file_.start_controller();
}

TEST_F(IsolatedNode, OneProcessorAtATimeHasTheMemory) {
  start_both(2);
  EXPECT_TRUE(primary_.is(NodeState::kActive));
  EXPECT_TRUE(backup_.is(NodeState::kStandby));
  EXPECT_TRUE(eventually([&] { return backup_->refused > 3; }));
  EXPECT_EQ(backup_->commits, 0u);
  EXPECT_TRUE(primary_.has_left());
  EXPECT_TRUE(backup_.becomes(NodeState::kActive));
  EXPECT_TRUE(backup_.works());
  primary_.start(file_.path(), as_primary, work_of(2));
  EXPECT_TRUE(primary_.becomes(NodeState::kActive)) << "it is handed over";
  EXPECT_TRUE(primary_.works());
  EXPECT_TRUE(backup_.becomes(NodeState::kStandby));
  expect_all_sound();
}

TEST_F(IsolatedNode, WhenThePrimaryDiesTheBackupGoesOn) {
  start_both(3);
  for (int round = 0; round < 10; ++round) {
    primary_.kill();
    expect_promoted(backup_);
    primary_.start(file_.path(), as_primary, work_of(3));
    ASSERT_TRUE(primary_.becomes(NodeState::kActive)) << primary_->sentence;
    ASSERT_TRUE(backup_.becomes(NodeState::kStandby));
    ASSERT_TRUE(primary_.works());
  }
  expect_all_sound();
}

TEST_F(IsolatedNode, WhenTheControllerDiesThePrimaryKeepsTheMemoryAndGoesOnWithTheNextOne) {
  start_both(3);
  for (int round = 0; round < 10; ++round) {
    file_.stop_controller(SIGKILL);
    file_.start_controller();
    EXPECT_TRUE(primary_.works()) << primary_->sentence;
    EXPECT_TRUE(primary_.is(NodeState::kActive));
    EXPECT_TRUE(backup_.is(NodeState::kStandby));
  }
  EXPECT_EQ(backup_->changes, 0u);
  expect_all_sound();
}

TEST_F(IsolatedNode, WhenBothDieTheBackupGoesOnWithTheNextController) {
  for (const bool controller_first : {true, false}) {
    for (const bool promoted_before_it_comes : {true, false}) {
      start_both(3);
      if (controller_first) file_.stop_controller(SIGKILL);
      primary_.kill();
      if (!controller_first) file_.stop_controller(SIGKILL);
      if (promoted_before_it_comes) {
        EXPECT_TRUE(backup_.becomes(NodeState::kActive)) << "though nothing can be committed yet";
      }
      file_.start_controller();
      expect_promoted(backup_);
      expect_all_sound();
    }
  }
}

// It may be carrying out the dead one's commit.
TEST_F(IsolatedNode, TheMemoryIsNotGivenAwayWhileTheControllerHasSomethingInHand) {
  start_both(3);
  file_.signal_controller(SIGSTOP);
  primary_.kill();
  pause_us(300'000);
  EXPECT_TRUE(backup_.is(NodeState::kStandby));
  EXPECT_EQ(backup_->changes, 0u);
  file_.signal_controller(SIGCONT);
  expect_promoted(backup_);
  EXPECT_EQ(backup_->hung, 0u);
  expect_all_sound();
}

TEST_F(IsolatedNode, WhenAllDieTheNextOnesGoOn) {
  for (const Role first : {as_primary, as_backup}) {
    start_both(2);
    primary_.kill();
    file_.stop_controller(SIGKILL);
    backup_.kill();
    file_.start_controller();
    Processor& one = first == as_primary ? primary_ : backup_;
    one.start(file_.path(), first, work_of(2));
    ASSERT_TRUE(one.joins()) << one->sentence;
    EXPECT_TRUE(one.becomes(NodeState::kActive));
    EXPECT_TRUE(one.works());
    expect_all_sound();
  }
}

TEST_F(IsolatedNode, DeathsAtRandom) {
  const char* given = getenv("AUXIN_SEED");
  const uint64_t seed = given != nullptr ? strtoull(given, nullptr, 0) : std::random_device{}();
  SCOPED_TRACE("AUXIN_SEED=" + std::to_string(seed));
  const char* rounds_text = getenv("AUXIN_ROUNDS");
  const int rounds = rounds_text != nullptr ? atoi(rounds_text) : 40;
  std::mt19937_64 random(seed);
  start_both(2);
  for (int round = 0; round < rounds && !HasFailure(); ++round) {
    pause_us(static_cast<long>(random() % 5000));
    const uint64_t who = 1 + random() % 7;
    if ((who & 1) != 0) primary_.kill();
    pause_us(static_cast<long>(random() % 300));
    if ((who & 2) != 0) file_.stop_controller(SIGKILL);
    pause_us(static_cast<long>(random() % 300));
    if ((who & 4) != 0) backup_.kill();
    if ((who & 2) != 0) file_.start_controller();
    if ((who & 1) != 0) primary_.start(file_.path(), as_primary, work_of(2));
    if ((who & 4) != 0) backup_.start(file_.path(), as_backup, work_of(2));
    ASSERT_TRUE(eventually([&] {
      return primary_.is(NodeState::kActive) || primary_.ended();
    })) << "round " << round << ", who " << who;
    EXPECT_TRUE(primary_.works()) << "round " << round << ": " << primary_->sentence;
  }
  expect_all_sound();
}

}  // namespace
}  // namespace auxin::stm
