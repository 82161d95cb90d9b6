// SPDX-License-Identifier: Apache-2.0
//
// Goal: the roles of a stable node and how its memory changes hands while nobody dies (README.md).
// Method: processors are child processes; what they are refused is a status and a sentence.
#include "auxin/stm_node.h"

#include <gmock/gmock.h>

#include "stmemu/node/test_processor.h"

namespace auxin::stm {
namespace {

using ::testing::HasSubstr;

int refused() { return static_cast<int>(Status::kRefused); }

TEST(StableNode, ThePrimaryHasTheMemoryWhenItHasJoined) {
  const NodeFile file;
  Processor primary;
  primary.start(file.path(), as_primary);
  ASSERT_TRUE(primary.joins());
  EXPECT_TRUE(primary.is(NodeState::kActive));
  EXPECT_TRUE(primary.works());
  EXPECT_EQ(primary->change, static_cast<int>(NodeChange::kBegun));
  EXPECT_TRUE(primary.has_left());
  expect_sound(file, primary->commits);
}

TEST(StableNode, TheBackupsTransactionsAreRefusedWhileThePrimaryIsActive) {
  const NodeFile file;
  Processor primary, backup;
  primary.start(file.path(), as_primary);
  ASSERT_TRUE(primary.joins());
  backup.start(file.path(), as_backup);
  ASSERT_TRUE(backup.joins());
  EXPECT_TRUE(backup.is(NodeState::kStandby));
  EXPECT_TRUE(eventually([&] { return backup->refused > 3; }));
  EXPECT_TRUE(primary.works());
  EXPECT_EQ(backup->commits, 0u);
  EXPECT_EQ(backup->changes, 0u);
}

TEST(StableNode, ARefusedTransactionNamesTheProcessThatHasTheMemory) {
  const NodeFile file;
  Processor primary;
  primary.start(file.path(), as_primary);
  ASSERT_TRUE(primary.joins());
  const std::string expected = "process " + std::to_string(primary.pid()) + "'s alone";
  EXPECT_EQ(in_child([&] {
              const StableNode backup = StableNode::join(file.path(), as_backup);
              for (int attempt = 0; attempt < 2; ++attempt) {
                Transaction transaction(backup.memory());
                try {
                  transaction.Begin();
                  return 1;
                } catch (const Failure& failure) {
                  if (failure.status() != Status::kStandby) return 2;
                  if (std::string(failure.what()).find(expected) == std::string::npos) return 3;
                }
              }
              return 0;
            }),
            0);
}

TEST(StableNode, AProcessThatHasNotJoinedIsRefusedUntilTheNodeIsLeft) {
  const NodeFile file;
  Processor primary;
  primary.start(file.path(), as_primary);
  ASSERT_TRUE(primary.joins());
  const auto stranger = [&] {
    return WEXITSTATUS(in_child([&] {
      const Memory memory = Memory::open(file.path());
      return static_cast<int>(status_of([&] { sums_of(memory); }));
    }));
  };
  EXPECT_EQ(stranger(), static_cast<int>(Status::kStandby));
  EXPECT_TRUE(primary.has_left());
  EXPECT_EQ(stranger(), static_cast<int>(Status::kOk));
}

TEST(StableNode, ASecondPrimaryIsRefusedWithASentence) {
  const NodeFile file;
  Processor first, second;
  first.start(file.path(), as_primary);
  ASSERT_TRUE(first.joins());
  second.start(file.path(), as_primary);
  EXPECT_FALSE(second.joins());
  EXPECT_EQ(second->status, refused());
  EXPECT_THAT(second->sentence,
              HasSubstr("process " + std::to_string(first.pid()) + " is its primary already"));
  EXPECT_TRUE(first.works());
}

TEST(StableNode, OneProcessIsNotBothItsProcessors) {
  const NodeFile file;
  EXPECT_EQ(in_child([&] {
              const StableNode primary = StableNode::join(file.path(), as_primary);
              try {
                StableNode::join(file.path(), as_backup);
                return 1;
              } catch (const Failure& failure) {
                return failure.status() == Status::kRefused ? 0 : 2;
              }
            }),
            0);
}

TEST(StableNode, ABackupInheritsTheMemoryFromAPrimaryThatLeaves) {
  const NodeFile file;
  Processor primary, backup;
  primary.start(file.path(), as_primary);
  ASSERT_TRUE(primary.joins());
  backup.start(file.path(), as_backup);
  ASSERT_TRUE(backup.joins());
  ASSERT_TRUE(primary.works());
  EXPECT_TRUE(primary.has_left());
  EXPECT_TRUE(backup.becomes(NodeState::kActive));
  EXPECT_EQ(backup->change, static_cast<int>(NodeChange::kInherited));
  EXPECT_TRUE(backup.works());
  EXPECT_TRUE(backup.has_left());
  expect_sound(file, primary->commits + backup->commits);
}

TEST(StableNode, ABackupLeavesAMemoryThatIsNobodysToThePrimaryForAWhile) {
  const NodeFile file;
  Processor primary, backup;
  Work patient;
  patient.options.grace_ms = 20'000;
  backup.start(file.path(), as_backup, patient);
  ASSERT_TRUE(backup.joins());
  EXPECT_TRUE(backup.is(NodeState::kStandby));
  primary.start(file.path(), as_primary);
  ASSERT_TRUE(primary.joins());
  EXPECT_TRUE(primary.is(NodeState::kActive));
  EXPECT_EQ(backup->changes, 0u);
}

TEST(StableNode, ABackupAloneTakesTheMemoryAfterAWhile) {
  const NodeFile file;
  Processor backup;
  Work hasty;
  hasty.options.grace_ms = 20;
  backup.start(file.path(), as_backup, hasty);
  ASSERT_TRUE(backup.joins());
  EXPECT_TRUE(backup.becomes(NodeState::kActive));
  EXPECT_TRUE(backup.works());
}

TEST(StableNode, APrimaryThatComesBackIsGivenTheMemory) {
  const NodeFile file;
  Processor primary, backup;
  Work hasty;
  hasty.threads = 3;
  hasty.options.grace_ms = 0;
  backup.start(file.path(), as_backup, hasty);
  ASSERT_TRUE(backup.joins());
  ASSERT_TRUE(backup.works());
  primary.start(file.path(), as_primary, hasty);
  ASSERT_TRUE(primary.joins());
  EXPECT_TRUE(primary.becomes(NodeState::kActive));
  EXPECT_TRUE(primary.works());
  EXPECT_EQ(primary->change, static_cast<int>(NodeChange::kReturned));
  EXPECT_EQ(primary->other, static_cast<uint64_t>(backup.pid()));
  EXPECT_TRUE(eventually([&] { return backup.is(NodeState::kStandby); }));
  EXPECT_EQ(backup->change, static_cast<int>(NodeChange::kHandedOver));
  EXPECT_EQ(backup->other, static_cast<uint64_t>(primary.pid()));
  const uint64_t commits = backup->commits;
  EXPECT_TRUE(primary.works());
  EXPECT_EQ(backup->commits, commits);
  EXPECT_TRUE(primary.has_left());
  EXPECT_TRUE(backup.has_left());
  expect_sound(file, primary->commits + backup->commits);
}

TEST(StableNode, APrimaryMayAskLater) {
  const NodeFile file;
  Processor backup;
  Work hasty;
  hasty.options.grace_ms = 0;
  backup.start(file.path(), as_backup, hasty);
  ASSERT_TRUE(backup.joins());
  ASSERT_TRUE(backup.works());
  EXPECT_EQ(in_child([&] {
              NodeOptions options;
              options.asks_at_once = false;
              StableNode primary = StableNode::join(file.path(), as_primary, options);
              if (primary.wait_active(100)) return 1;
              primary.ask();
              if (!primary.wait_active(20'000)) return 2;
              const NodeReport report = primary.report();
              return report.state == NodeState::kActive && report.term > 1 &&
                             report.other_process == static_cast<uint32_t>(backup.pid()) &&
                             report.holder == static_cast<uint32_t>(getpid())
                         ? 0
                         : 3;
            }),
            0);
  EXPECT_TRUE(backup.becomes(NodeState::kActive)) << "the primary has left";
}

TEST(StableNode, AHandOverWaitsForTheTransactionThatRuns) {
  const NodeFile file;
  Processor primary, backup;
  Work hasty;
  hasty.options.grace_ms = 0;
  hasty.options.end_limit_ms = 20'000;
  backup.start(file.path(), as_backup, hasty);
  ASSERT_TRUE(backup.joins());
  ASSERT_TRUE(backup.works());
  backup->stay = true;
  ASSERT_TRUE(eventually([&] { return backup->inside == 1; }));
  const uint64_t commits = backup->commits;
  primary.start(file.path(), as_primary);
  ASSERT_TRUE(primary.joins());
  EXPECT_TRUE(backup.becomes(NodeState::kHandingOver));
  EXPECT_TRUE(primary.is(NodeState::kStandby));
  backup->stay = false;
  EXPECT_TRUE(primary.becomes(NodeState::kActive));
  EXPECT_EQ(backup->commits, commits + 1) << "the one that ran, and no other";
}

TEST(StableNode, AHandOverIsPutOffWhenATransactionDoesNotEnd) {
  const NodeFile file;
  Processor primary, backup;
  Work hasty;
  hasty.threads = 2;
  hasty.options.grace_ms = 0;
  hasty.options.end_limit_ms = 20;
  backup.start(file.path(), as_backup, hasty);
  ASSERT_TRUE(backup.joins());
  ASSERT_TRUE(backup.works());
  backup->stay = true;
  ASSERT_TRUE(eventually([&] { return backup->inside > 0; }));
  primary.start(file.path(), as_primary, hasty);
  ASSERT_TRUE(primary.joins());
  EXPECT_TRUE(backup.becomes(NodeState::kHandingOver));
  EXPECT_TRUE(backup.becomes(NodeState::kActive)) << "put off";
  backup->stay = false;
  EXPECT_TRUE(primary.becomes(NodeState::kActive)) << "it is tried again";
  EXPECT_TRUE(primary.works());
}

TEST(StableNode, LeavingIsRefusedWhileATransactionRuns) {
  const NodeFile file;
  EXPECT_EQ(in_child([&] {
              NodeOptions options;
              options.end_limit_ms = 20;
              StableNode node = StableNode::join(file.path(), as_primary, options);
              Transaction transaction(node.memory());
              transaction.Begin();
              if (status_of([&] { node.leave(); }) != Status::kBusy) return 1;
              if (!node.active()) return 2;
              transaction.Commit();
              node.leave();
              if (node.report().state != NodeState::kLeft || node.active()) return 3;
              node = StableNode::join(file.path(), as_backup);
              return node.wait_active(20'000) ? 0 : 4;
            }),
            0);
}

TEST(StableNode, JoiningWaitsForTransactionsOfStrangersAndGivesUp) {
  const NodeFile file;
  Processor primary;
  Work hasty;
  hasty.options.end_limit_ms = 20;
  const Memory memory = Memory::open(file.path());
  {
    Transaction transaction(memory);
    transaction.Begin();
    primary.start(file.path(), as_primary, hasty);
    EXPECT_FALSE(primary.joins());
    EXPECT_EQ(primary->status, static_cast<int>(Status::kBusy));
    EXPECT_THAT(primary->sentence, HasSubstr("does not belong to the stable node"));
    transaction.Commit();
  }
  EXPECT_EQ(sums_of(memory).amount, kAccounts * kAmount) << "the memory is anybody's again";
  primary.start(file.path(), as_primary, hasty);
  EXPECT_TRUE(primary.joins());
  EXPECT_EQ(status_of([&] { sums_of(memory); }), Status::kStandby);
}

TEST(StableNode, AForkOfAProcessorHasNoPartInTheNode) {
  const NodeFile file;
  EXPECT_EQ(in_child([&] {
              StableNode node = StableNode::join(file.path(), as_primary);
              const int forked = in_child([&] {
                { const StableNode mine = std::move(node); }
                return 0;
              });
              return forked == 0 && node.active() ? 0 : 1;
            }),
            0);
}

TEST(StableNode, EverythingHasAName) {
  EXPECT_STREQ(name_of(as_primary), "primary");
  EXPECT_STREQ(name_of(as_backup), "backup");
  EXPECT_STREQ(name_of(NodeState::kHandingOver), "handing over");
  EXPECT_STREQ(name_of(NodeChange::kPromoted), "promoted");
  EXPECT_STREQ(name_of(Status::kStandby), "standby");
}

}  // namespace
}  // namespace auxin::stm
