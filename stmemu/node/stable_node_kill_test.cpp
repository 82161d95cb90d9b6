// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever of a stable node dies or hangs, at whatever step, its memory stays consistent, no
// acknowledged transaction is lost, and whoever is left, or comes back, goes on.
//
// Method: processors are child processes that move amounts between accounts; they are killed or
// stopped, or end themselves at a step (node_step.def), for which the room is compiled into this
// test once more. AUXIN_ROUNDS makes the random campaign longer, AUXIN_SEED repeats one.
#include <stdlib.h>

#include <array>

#include "stmemu/node/node_step.h"
#include "stmemu/node/processor.h"
#include "stmemu/node/test_processor.h"
#include "tests/harness/kill_one.h"

namespace auxin::stm {

void node_step(NodeStep step) {
  if (own_words == nullptr || own_words->step != static_cast<int>(step)) return;
  if (--own_words->passes == 0) {
    ::kill(getpid(), SIGKILL);
    for (;;) pause();
  }
}

namespace {

Work work_of(int threads) {
  Work work;
  work.threads = threads;
  work.options.grace_ms = 0;
  return work;
}

class Node : public ::testing::Test {
 protected:
  void start_both(int threads) {
    primary_.start(file_.path(), as_primary, work_of(threads));
    ASSERT_TRUE(primary_.joins());
    backup_.start(file_.path(), as_backup, work_of(threads));
    ASSERT_TRUE(backup_.joins());
    ASSERT_TRUE(primary_.works());
  }
  void expect_promoted(Processor& processor, bool hung = false) {
    EXPECT_TRUE(processor.becomes(NodeState::kActive));
    EXPECT_TRUE(eventually(
        [&] { return processor->change == static_cast<int>(NodeChange::kPromoted); }));
    EXPECT_EQ(processor->hung != 0, hung);
    EXPECT_EQ(processor->lost, 0u);
    EXPECT_TRUE(processor.works());
  }
  void expect_all_sound() {
    const uint64_t acknowledged = primary_.acknowledged() + backup_.acknowledged();
    primary_.kill();
    backup_.kill();
    expect_sound(file_, acknowledged);
  }

  const NodeFile file_;
  Processor primary_, backup_;
};

// --- deaths ---

TEST_F(Node, TheBackupIsPromotedWhenAnIdlePrimaryDies) {
  start_both(1);
  primary_.kill();
  expect_promoted(backup_);
  primary_.start(file_.path(), as_primary, work_of(0));
  ASSERT_TRUE(primary_.joins());
  ASSERT_TRUE(primary_.becomes(NodeState::kActive));
  EXPECT_TRUE(backup_.becomes(NodeState::kStandby));
  const int pid = primary_.pid();
  primary_.kill();
  expect_promoted(backup_);
  EXPECT_EQ(backup_->other, static_cast<uint64_t>(pid));
  EXPECT_EQ(backup_->undone + backup_->redone, 0u);
  expect_all_sound();
}

TEST_F(Node, ATransactionInTheMiddleIsUndone) {
  start_both(1);
  primary_->stay = true;
  ASSERT_TRUE(eventually([&] { return primary_->inside == 1; }));
  primary_.kill();
  expect_promoted(backup_);
  EXPECT_EQ(backup_->undone, 1u);
  EXPECT_EQ(backup_->redone, 0u);
  expect_all_sound();
}

TEST_F(Node, TransactionsOfSeveralThreadsAreUndone) {
  start_both(6);
  primary_->stay = true;
  ASSERT_TRUE(eventually([&] { return primary_->inside >= 2; }));
  const uint64_t inside = primary_->inside;
  primary_.kill();
  expect_promoted(backup_);
  EXPECT_GE(backup_->undone, inside);
  expect_all_sound();
}

TEST_F(Node, APrimaryInFullWorkIsReplacedAgainAndAgain) {
  start_both(3);
  for (int round = 0; round < 10; ++round) {
    primary_.kill();
    expect_promoted(backup_);
    primary_.start(file_.path(), as_primary, work_of(3));
    ASSERT_TRUE(primary_.becomes(NodeState::kActive));
    ASSERT_TRUE(backup_.becomes(NodeState::kStandby));
    ASSERT_TRUE(primary_.works());
  }
  expect_all_sound();
}

TEST_F(Node, ThePrimaryIsPromotedWhenTheBackupHasTheMemoryAndDies) {
  start_both(2);
  primary_.kill();
  expect_promoted(backup_);
  Work modest = work_of(2);
  modest.options.asks_at_once = false;
  primary_.start(file_.path(), as_primary, modest);
  ASSERT_TRUE(primary_.joins());
  EXPECT_TRUE(primary_.is(NodeState::kStandby));
  ASSERT_TRUE(backup_.works());
  backup_.kill();
  expect_promoted(primary_);
  expect_all_sound();
}

TEST_F(Node, WhenBothAreDeadEitherGoesOn) {
  for (const Role first : {as_primary, as_backup}) {
    start_both(2);
    primary_.kill();
    backup_.kill();
    Processor& one = first == as_primary ? primary_ : backup_;
    one.start(file_.path(), first, work_of(2));
    ASSERT_TRUE(one.joins());
    EXPECT_TRUE(one.becomes(NodeState::kActive));
    EXPECT_TRUE(one.works());
    one.kill();
  }
  expect_all_sound();
}

TEST_F(Node, AProcessThatExitsWithoutLeavingIsADeadOne) {
  start_both(1);
  primary_.kill();
  expect_promoted(backup_);
  EXPECT_EQ(in_child([&] {
              const auto* node = new StableNode(StableNode::join(file_.path(), as_primary));
              return node->wait_active(10'000) ? 0 : 1;
            }),
            0);
  expect_promoted(backup_);
  expect_all_sound();
}

// --- hangs ---

TEST_F(Node, APrimaryThatDoesNotRunIsKilledAndReplaced) {
  Work quick = work_of(2);
  quick.options.hang_limit_ms = 200;
  primary_.start(file_.path(), as_primary, quick);
  ASSERT_TRUE(primary_.joins());
  backup_.start(file_.path(), as_backup, quick);
  ASSERT_TRUE(backup_.joins());
  ASSERT_TRUE(primary_.works());
  kill_one(primary_.pid(), SIGSTOP);
  expect_promoted(backup_, true);
  EXPECT_TRUE(primary_.has_ended_by(SIGKILL));
  expect_all_sound();
}

TEST_F(Node, AnApplicationThatDoesNotBeatIsKilledAndReplaced) {
  Work quick = work_of(1);
  quick.options.beat = Beat::kByApplication;
  quick.options.hang_limit_ms = 300;
  primary_.start(file_.path(), as_primary, quick);
  ASSERT_TRUE(primary_.joins());
  quick.options.beat = Beat::kByNode;
  backup_.start(file_.path(), as_backup, quick);
  ASSERT_TRUE(backup_.joins());
  pause_us(600'000);
  EXPECT_TRUE(primary_.works()) << "it beats";
  primary_->silent = true;
  expect_promoted(backup_, true);
  EXPECT_TRUE(primary_.has_ended_by(SIGKILL));
  expect_all_sound();
}

TEST_F(Node, NobodyIsKilledForAHangIfThereIsNoLimit) {
  Work endless = work_of(1);
  endless.options.hang_limit_ms = 0;
  primary_.start(file_.path(), as_primary, endless);
  ASSERT_TRUE(primary_.joins());
  backup_.start(file_.path(), as_backup, endless);
  ASSERT_TRUE(backup_.joins());
  kill_one(primary_.pid(), SIGSTOP);
  pause_us(400'000);
  EXPECT_TRUE(backup_.is(NodeState::kStandby));
  kill_one(primary_.pid(), SIGCONT);
  EXPECT_TRUE(primary_.works());
}

TEST_F(Node, AStoppedBackupKillsNobodyWhenItGoesOn) {
  Work quick = work_of(1);
  quick.options.hang_limit_ms = 400;
  primary_.start(file_.path(), as_primary, quick);
  ASSERT_TRUE(primary_.joins());
  backup_.start(file_.path(), as_backup, quick);
  ASSERT_TRUE(backup_.joins());
  // As in a stall of the host, nobody runs for longer than the limit; then the watcher runs first.
  kill_one(backup_.pid(), SIGSTOP);
  kill_one(primary_.pid(), SIGSTOP);
  pause_us(900'000);
  kill_one(backup_.pid(), SIGCONT);
  pause_us(50'000);
  kill_one(primary_.pid(), SIGCONT);
  EXPECT_TRUE(primary_.works());
  EXPECT_TRUE(backup_.is(NodeState::kStandby));
}

TEST(Processor, AProcessOfAnotherTimeIsNotKilled) {
  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  const auto process = static_cast<uint32_t>(child);
  const uint64_t started = start_time_ticks(process);
  EXPECT_NE(started, 0u);
  EXPECT_FALSE(kill_process(process, started + 1));
  EXPECT_FALSE(kill_process(process, 0));
  EXPECT_EQ(waitpid(child, nullptr, WNOHANG), 0);
  EXPECT_TRUE(kill_process(process, started));
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(kill_process(process, started));
  EXPECT_EQ(start_time_ticks(process), 0u);
}

// --- a death at each step ---

struct Case {
  NodeStep step;
  int passes;
  const char* name;
};

// A third process that has the memory open keeps the board as it is when both processors are dead;
// without one it is made anew.
class Step : public Node, public ::testing::WithParamInterface<std::tuple<Case, bool>> {
 protected:
  void SetUp() override {
    if (!std::get<1>(GetParam())) return;
    witness_ = fork();
    if (witness_ == 0) {
      const Memory memory = Memory::open(file_.path());
      for (;;) pause();
    }
  }
  void TearDown() override {
    if (witness_ > 0) {
      kill_one(witness_, SIGKILL);
      waitpid(witness_, nullptr, 0);
    }
    expect_all_sound();
  }
  Case at() const { return std::get<0>(GetParam()); }
  void start_armed(Processor& processor, Role role) {
    processor.start(file_.path(), role, work_of(2), static_cast<int>(at().step), at().passes);
  }
  void expect_that_goes_on(Processor& processor, Role role) {
    processor.start(file_.path(), role, work_of(2));
    ASSERT_TRUE(processor.joins()) << processor->sentence;
    EXPECT_TRUE(processor.becomes(NodeState::kActive));
    EXPECT_TRUE(processor.works());
  }

 private:
  pid_t witness_ = 0;
};

std::string name_of_case(const ::testing::TestParamInfo<std::tuple<Case, bool>>& info) {
  const Case& at = std::get<0>(info.param);
  return std::string(at.name) + (at.passes > 1 ? std::to_string(at.passes) : "") +
         (std::get<1>(info.param) ? "WithAWitness" : "");
}

#define CASE(step, passes) \
  Case { NodeStep::k##step, passes, #step }

class StepOfBeginning : public Step {};
TEST_P(StepOfBeginning, TheNextPrimaryGoesOn) {
  start_armed(primary_, as_primary);
  ASSERT_TRUE(primary_.has_ended_by(SIGKILL));
  expect_that_goes_on(primary_, as_primary);
}
TEST_P(StepOfBeginning, ABackupGoesOn) {
  start_armed(primary_, as_primary);
  ASSERT_TRUE(primary_.has_ended_by(SIGKILL));
  expect_that_goes_on(backup_, as_backup);
}
INSTANTIATE_TEST_SUITE_P(All, StepOfBeginning,
                         ::testing::Combine(::testing::Values(CASE(SeatTaken, 1),
                                                              CASE(SeatNamed, 1), CASE(Claimed, 1),
                                                              CASE(Begun, 1)),
                                            ::testing::Bool()),
                         name_of_case);

class StepOfPromotion : public Step {
 protected:
  // Both are dead, the backup at a step of its promotion.
  void die() {
    primary_.start(file_.path(), as_primary, work_of(3));
    ASSERT_TRUE(primary_.joins());
    start_armed(backup_, as_backup);
    ASSERT_TRUE(backup_.joins());
    ASSERT_TRUE(primary_.works());
    primary_->stay = true;
    ASSERT_TRUE(eventually([&] { return primary_->inside >= 2; }));
    primary_.kill();
    ASSERT_TRUE(backup_.has_ended_by(SIGKILL));
  }
};
TEST_P(StepOfPromotion, ThePrimaryGoesOn) {
  die();
  expect_that_goes_on(primary_, as_primary);
}
TEST_P(StepOfPromotion, AnotherBackupGoesOn) {
  die();
  expect_that_goes_on(backup_, as_backup);
}
TEST_P(StepOfPromotion, OneThatDiesThereTooIsFollowedByAThird) {
  die();
  start_armed(backup_, as_backup);
  if (backup_.joins()) backup_.kill();  // the board was made anew: nothing to be promoted from
  ASSERT_TRUE(backup_.has_ended_by(SIGKILL) || backup_.ended());
  expect_that_goes_on(primary_, as_primary);
}
INSTANTIATE_TEST_SUITE_P(
    All, StepOfPromotion,
    ::testing::Combine(::testing::Values(CASE(DeathSeen, 1), CASE(GateClosed, 1),
                                         CASE(ThreadEnded, 1), CASE(ThreadEnded, 2),
                                         CASE(StateRestored, 1), CASE(Given, 1),
                                         CASE(SeatReleased, 1), CASE(Warned, 1)),
                       ::testing::Bool()),
    name_of_case);

class StepOfReturn : public Step {};
TEST_P(StepOfReturn, TheBackupKeepsOrTakesTheMemory) {
  backup_.start(file_.path(), as_backup, work_of(2));
  ASSERT_TRUE(backup_.joins());
  ASSERT_TRUE(backup_.works());
  start_armed(primary_, as_primary);
  ASSERT_TRUE(primary_.has_ended_by(SIGKILL));
  EXPECT_TRUE(backup_.becomes(NodeState::kActive));
  EXPECT_TRUE(backup_.works());
  expect_that_goes_on(primary_, as_primary);
}
INSTANTIATE_TEST_SUITE_P(All, StepOfReturn,
                         ::testing::Combine(::testing::Values(CASE(SeatTaken, 1),
                                                              CASE(SeatNamed, 1), CASE(Asked, 1),
                                                              CASE(Returned, 1)),
                                            ::testing::Bool()),
                         name_of_case);

class StepOfHandOver : public Step {};
TEST_P(StepOfHandOver, ThePrimaryHasTheMemory) {
  start_armed(backup_, as_backup);
  ASSERT_TRUE(backup_.joins());
  ASSERT_TRUE(backup_.works());
  primary_.start(file_.path(), as_primary, work_of(2));
  ASSERT_TRUE(primary_.joins());
  EXPECT_TRUE(primary_.becomes(NodeState::kActive));
  EXPECT_TRUE(primary_.works());
  ASSERT_TRUE(backup_.has_ended_by(SIGKILL));
}
INSTANTIATE_TEST_SUITE_P(All, StepOfHandOver,
                         ::testing::Combine(::testing::Values(CASE(HandOverClosed, 1),
                                                              CASE(HandOverQuiet, 1),
                                                              CASE(HandedOver, 1)),
                                            ::testing::Bool()),
                         name_of_case);

class StepOfLeaving : public Step {};
TEST_P(StepOfLeaving, TheBackupHasTheMemory) {
  start_armed(primary_, as_primary);
  ASSERT_TRUE(primary_.joins());
  backup_.start(file_.path(), as_backup, work_of(2));
  ASSERT_TRUE(backup_.joins());
  ASSERT_TRUE(primary_.works());
  primary_->leave = true;
  ASSERT_TRUE(primary_.has_ended_by(SIGKILL));
  EXPECT_TRUE(backup_.becomes(NodeState::kActive));
  EXPECT_TRUE(backup_.works());
}
TEST_P(StepOfLeaving, TheNextPrimaryGoesOn) {
  start_armed(primary_, as_primary);
  ASSERT_TRUE(primary_.joins());
  ASSERT_TRUE(primary_.works());
  primary_->leave = true;
  ASSERT_TRUE(primary_.has_ended_by(SIGKILL));
  expect_that_goes_on(primary_, as_primary);
}
INSTANTIATE_TEST_SUITE_P(All, StepOfLeaving,
                         ::testing::Combine(::testing::Values(CASE(HandOverClosed, 1),
                                                              CASE(LeaveQuiet, 1),
                                                              CASE(LeftMemory, 1)),
                                            ::testing::Bool()),
                         name_of_case);

// --- pairs ---

// Figure 2: the primary of one node is the backup of the other one.
TEST(NodePair, EitherProcessDoesBothJobsWhileTheOtherIsDead) {
  const NodeFile files[2];
  Processor one, two;
  const auto start_one = [&] {
    one.start(files[0].path(), as_primary, work_of(1), -1, 1, files[1].path());
  };
  const auto start_two = [&] {
    two.start(files[1].path(), as_primary, work_of(1), -1, 1, files[0].path());
  };
  start_one();
  start_two();
  ASSERT_TRUE(one.joins() && two.joins());
  const auto each_has_its_own = [&] {
    return one.becomes(NodeState::kActive, 0) && two.becomes(NodeState::kActive, 0) &&
           one.becomes(NodeState::kStandby, 1) && two.becomes(NodeState::kStandby, 1);
  };
  EXPECT_TRUE(each_has_its_own());
  for (int round = 0; round < 3; ++round) {
    one.kill();
    EXPECT_TRUE(two.becomes(NodeState::kActive, 0) && two.becomes(NodeState::kActive, 1));
    EXPECT_TRUE(two.works());
    start_one();
    ASSERT_TRUE(one.joins());
    EXPECT_TRUE(each_has_its_own());
    two.kill();
    EXPECT_TRUE(one.becomes(NodeState::kActive, 0) && one.becomes(NodeState::kActive, 1));
    EXPECT_TRUE(one.works());
    start_two();
    ASSERT_TRUE(two.joins());
    EXPECT_TRUE(each_has_its_own());
  }
  one.kill();
  two.kill();
  for (const NodeFile& file : files) expect_sound(file, 0);
}

// --- at random ---

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* text = getenv(name);
  return text != nullptr ? strtoull(text, nullptr, 10) : otherwise;
}

TEST_F(Node, SurvivesRandomDeaths) {
  const uint64_t seed = from_environment("AUXIN_SEED", static_cast<uint64_t>(time(nullptr)));
  const uint64_t rounds = from_environment("AUXIN_ROUNDS", 200);
  printf("AUXIN_SEED=%llu AUXIN_ROUNDS=%llu\n", static_cast<unsigned long long>(seed),
         static_cast<unsigned long long>(rounds));
  std::mt19937_64 random(seed);
  Processor* const processors[2] = {&primary_, &backup_};
  Work work = work_of(2);
  work.options.hang_limit_ms = 500;
  const auto start = [&](size_t seat) {
    processors[seat]->start(file_.path(), static_cast<Role>(seat), work);
  };
  start(0);
  start(1);
  for (uint64_t round = 0; round < rounds && !HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    work.threads = 1 + static_cast<int>(random() % 4);
    pause_us(static_cast<long>(random() % 6000));
    const uint64_t which = random() % 16;
    if (which < 14) {
      const size_t seat = which < 10 ? 0 : 1;
      processors[seat]->kill();
      if (random() % 2 == 0) pause_us(static_cast<long>(random() % 3000));
      start(seat);
    } else if (which == 14) {  // both, and the one or the other comes back first
      const size_t first = random() % 2;
      processors[first]->kill();
      if (random() % 2 == 0) pause_us(static_cast<long>(random() % 500));
      processors[1 - first]->kill();
      if (random() % 4 == 0) expect_sound(file_, primary_.acknowledged() + backup_.acknowledged());
      start(random() % 2);
      for (const size_t seat : {0, 1}) {
        if (processors[seat]->ended()) start(seat);
      }
    } else {  // one hangs, and never both
      for (Processor* processor : processors) {
        if (!processor->ended()) kill_one(processor->pid(), SIGCONT);
      }
      if (primary_.ended() || backup_.ended()) continue;
      kill_one(processors[random() % 2]->pid(), SIGSTOP);
    }
    if (random() % 3 != 0) continue;
    // Somebody goes on.
    const uint64_t before = primary_.acknowledged() + backup_.acknowledged();
    EXPECT_TRUE(eventually(
        [&] { return primary_.acknowledged() + backup_.acknowledged() > before; }));
    for (Processor* processor : processors) {
      EXPECT_EQ((*processor)->failed, 0) << (*processor)->sentence;
      EXPECT_NE((*processor)->joined, -1) << (*processor)->sentence;
      EXPECT_EQ((*processor)->lost, 0u);
    }
  }
  printf("%llu transactions were acknowledged\n",
         static_cast<unsigned long long>(primary_.acknowledged() + backup_.acknowledged()));
  expect_all_sound();
}

}  // namespace
}  // namespace auxin::stm
