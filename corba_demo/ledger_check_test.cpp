// SPDX-License-Identifier: Apache-2.0
//
// Goal: the check of exactly-once finds each way in which a bank can go wrong, and nothing in a
// bank that is right.
// Method: a bank in this process; calls are made and noted by hand, and then one thing is
// falsified: a call done twice, not at all, by nobody, out of order, or half.
#include "ledger_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "load_client.h"
#include "load_report.h"
#include "teller.h"

namespace bank {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// The process's ORB and root POA; nothing here goes over a network.
PortableServer::POA_ptr root_poa() {
  static const PortableServer::POA_var poa = [] {
    int argc = 1;
    char name[] = "test";
    char* argv[] = {name, nullptr};
    const char* options[][2] = {{"endPoint", "giop:tcp:127.0.0.1:"}, {nullptr, nullptr}};
    const CORBA::ORB_var orb = CORBA::ORB_init(argc, argv, "", options);
    const CORBA::Object_var object = orb->resolve_initial_references("RootPOA");
    PortableServer::POA_var root = PortableServer::POA::_narrow(object);
    const PortableServer::POAManager_var manager = root->the_POAManager();
    manager->activate();
    return root;
  }();
  return poa;
}

class LedgerCheckTest : public testing::Test {
 protected:
  LedgerCheckTest() : log_(1, 2, 100) {
    options_.client_count = 2;
    options_.prefix = "test";
    options_.shared_account_count = 2;
    teller_servant_ = new TellerServant(root_poa());
    id_ = root_poa()->activate_object(teller_servant_);
    teller_ = teller_servant_->_this();
    fund_shared_accounts(options_, teller_);
    for (unsigned i = 0; i < 2; ++i) own_[i] = teller_->open(own_account(options_, i).c_str());
    for (unsigned i = 0; i < 2; ++i) {
      shared_[i] = teller_->open(shared_account(options_, i).c_str());
    }
    CORBA::ULong count = 0;
    teller_->audit(count);
    accounts_before_ = count;
  }
  ~LedgerCheckTest() override { root_poa()->deactivate_object(id_); }

  // Notes a call, which the test then makes or not.
  CallRecord& noted(unsigned thread, Operation operation,
                    Outcome outcome = Outcome::kAcknowledged) {
    ThreadLog& log = log_.thread(thread);
    CallRecord& record = log.records[log.call_count.fetch_add(1)];
    record.operation = operation;
    record.outcome = outcome;
    record.from_shared = 0;
    record.to_shared = 1;
    return record;
  }
  // The amount of the call noted last.
  int64_t amount(unsigned thread) const {
    const auto count = const_cast<CallLog&>(log_).thread(thread).call_count.load();
    return amount_of({thread, static_cast<uint32_t>(count - 1)});
  }
  void deposit(unsigned thread) {
    CallRecord& record = noted(thread, Operation::kDeposit);
    record.value = own_[thread]->deposit(amount(thread));
  }
  LedgerVerdict check() { return check_ledger(options_, log_, teller_, accounts_before_); }
  void expect_violation(const std::string& text) {
    const LedgerVerdict verdict = check();
    EXPECT_GE(verdict.violation_count, 1u);
    EXPECT_THAT(verdict.violations, testing::Contains(HasSubstr(text)));
  }

  LoadOptions options_;
  CallLog log_;
  PortableServer::Servant_var<TellerServant> teller_servant_;
  PortableServer::ObjectId_var id_;
  Bank::Teller_var teller_;
  Bank::Account_var own_[2];
  Bank::Account_var shared_[2];
  uint64_t accounts_before_ = 0;
};

TEST_F(LedgerCheckTest, FindsNothingInABankThatIsRight) {
  for (unsigned thread = 0; thread < 2; ++thread) {
    deposit(thread);
    deposit(thread);
    CallRecord& to_shared = noted(thread, Operation::kDepositShared);
    to_shared.value = shared_[1]->deposit(amount(thread));
    noted(thread, Operation::kTransfer);
    teller_->transfer("test-shared-0", "test-shared-1", amount(thread));
    noted(thread, Operation::kOrder);
    teller_->post_order("test-shared-1", amount(thread));
    noted(thread, Operation::kNote);
    own_[thread]->note(std::to_string(amount(thread)).c_str());
    noted(thread, Operation::kWithdraw, Outcome::kRefused);
    noted(thread, Operation::kPing);
  }
  const LedgerVerdict verdict = check();
  EXPECT_THAT(verdict.violations, IsEmpty());
  EXPECT_EQ(verdict.violation_count, 0u);
  EXPECT_EQ(verdict.checked_call_count, 14u);
  EXPECT_EQ(verdict.entry_count, 16u);
  EXPECT_EQ(verdict.lost_note_count, 0u);
  EXPECT_THAT(verdict.fingerprint, HasSubstr("accounts=4 "));
}

TEST_F(LedgerCheckTest, FindsALostDeposit) {
  noted(0, Operation::kDeposit);
  expect_violation("deposit 0 of thread 0 was acknowledged and is lost");
}

TEST_F(LedgerCheckTest, FindsADoubledDeposit) {
  deposit(1);
  own_[1]->deposit(amount(1));
  expect_violation("deposit 0 of thread 1 was done 2 times");
}

TEST_F(LedgerCheckTest, FindsADepositNobodyMade) {
  deposit(0);
  own_[0]->deposit(amount_of({0, 7}));
  expect_violation("was never asked for");
}

TEST_F(LedgerCheckTest, FindsADepositInTheWrongAccount) {
  noted(0, Operation::kDeposit);
  own_[1]->deposit(amount(0));
  expect_violation("belongs to another call");
}

TEST_F(LedgerCheckTest, FindsDepositsInAnotherOrderThanTheirClients) {
  noted(0, Operation::kDeposit).value = 2 * amount_of({0, 0}) + 1;
  noted(0, Operation::kDeposit).value = amount_of({0, 1});
  own_[0]->deposit(amount_of({0, 1}));
  own_[0]->deposit(amount_of({0, 0}));
  expect_violation("is out of its client's order");
}

TEST_F(LedgerCheckTest, FindsAnAnswerThatIsNotInTheStatement) {
  deposit(0);
  ++log_.thread(0).records[0].value;
  expect_violation("was answered with balance");
}

TEST_F(LedgerCheckTest, FindsHalfATransferAndADoubledOne) {
  noted(0, Operation::kTransfer, Outcome::kMaybe);
  shared_[0]->withdraw(amount(0));
  expect_violation("belongs to another call");
  noted(0, Operation::kTransfer);
  teller_->transfer("test-shared-0", "test-shared-1", amount(0));
  teller_->transfer("test-shared-0", "test-shared-1", amount(0));
  expect_violation("was done 2 times");
}

TEST_F(LedgerCheckTest, FindsACallThatWasRefusedAndDone) {
  noted(0, Operation::kDeposit, Outcome::kNotCompleted);
  own_[0]->deposit(amount(0));
  noted(1, Operation::kOrder, Outcome::kRefused);
  teller_->post_order("test-shared-1", amount(1));
  const LedgerVerdict verdict = check();
  EXPECT_EQ(verdict.violation_count, 2u);
}

TEST_F(LedgerCheckTest, LetsAnUnacknowledgedCallBeDoneOnceOrNotAtAll) {
  noted(0, Operation::kDeposit, Outcome::kMaybe);
  own_[0]->deposit(amount(0));
  noted(1, Operation::kDeposit, Outcome::kInFlight);
  LedgerVerdict verdict = check();
  EXPECT_THAT(verdict.violations, IsEmpty());
  EXPECT_EQ(verdict.applied_unacknowledged, 1u);
  own_[0]->deposit(amount(0));
  expect_violation("was done 2 times");
}

TEST_F(LedgerCheckTest, LetsANoteBeLostButNotDoubled) {
  noted(0, Operation::kNote);
  EXPECT_EQ(check().lost_note_count, 1u);
  EXPECT_EQ(check().violation_count, 0u);
  own_[0]->note(std::to_string(amount(0)).c_str());
  own_[0]->note(std::to_string(amount(0)).c_str());
  expect_violation("note 0 of thread 0 was done 2 times");
}

TEST_F(LedgerCheckTest, CountsTheAccountsThatWereOpened) {
  options_.mix = Mix::kOpen;
  noted(0, Operation::kOpen);
  expect_violation("lost accounts");
  Bank::Account_var account = teller_->open("somebody");
  EXPECT_EQ(check().violation_count, 0u);
  account = teller_->open("somebody else");
  expect_violation("has accounts nobody opened");
}

TEST_F(LedgerCheckTest, RefusesAccountsThatAreNotNew) {
  EXPECT_THROW(fund_shared_accounts(options_, teller_), std::runtime_error);
}

// Replies at 10, 20, 300 ms of thread 0 and 15, 310 ms of thread 1; killed at 21 ms.
TEST(LoadReport, ShowsWhatClientsSawOfAKill) {
  LoadOptions options;
  options.client_count = 2;
  CallLog log(2, 2, 10);
  log.control().begin_ns = 1;
  const auto call = [&](unsigned thread, uint64_t start_ms, uint64_t reply_ms, Outcome outcome) {
    ThreadLog& t = log.thread(thread);
    CallRecord& record = t.records[t.call_count.fetch_add(1)];
    record.start_ns = start_ms * 1'000'000;
    record.reply_ns = reply_ms * 1'000'000;
    record.outcome = outcome;
  };
  call(0, 5, 10, Outcome::kAcknowledged);
  call(0, 10, 20, Outcome::kAcknowledged);
  call(0, 20, 300, Outcome::kAcknowledged);
  call(1, 5, 15, Outcome::kAcknowledged);
  call(1, 15, 30, Outcome::kMaybe);
  call(1, 31, 310, Outcome::kAcknowledged);
  call(1, 311, 0, Outcome::kInFlight);
  LoadReport report;
  summarise(options, log, {21'000'000, 400'000'000}, report);
  EXPECT_EQ(report.call_count, 7u);
  EXPECT_EQ(report.acknowledged_count, 5u);
  ASSERT_EQ(report.gaps.size(), 4u);
  EXPECT_EQ(report.gaps[0].begin_ns, 20'000'000u);
  EXPECT_EQ(report.gaps[0].length_ns, 280'000'000u);
  EXPECT_EQ(report.thread_gaps[0].length_ns, 295'000'000u);
  EXPECT_EQ(report.thread_gaps[0].thread, 1);
  ASSERT_EQ(report.kills.size(), 2u);
  EXPECT_TRUE(report.kills[0].covered);
  EXPECT_EQ(report.kills[0].first_reply_ns, 279'000'000u);
  EXPECT_EQ(report.kills[0].gap_ns, 280'000'000u);
  EXPECT_EQ(report.kills[0].all_replied_ns, 289'000'000u);
  EXPECT_EQ(report.kills[0].slowest_call_ns, 280'000'000u);
  EXPECT_EQ(report.kills[0].error_count, 1u);
  EXPECT_FALSE(report.kills[1].covered);
}

}  // namespace
}  // namespace bank
