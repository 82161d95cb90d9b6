// SPDX-License-Identifier: Apache-2.0
#include "ledger_check.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "answer_watchdog.h"
#include "load_client.h"

namespace bank {

namespace {

constexpr size_t kKeptViolationCount = 50;
constexpr CORBA::ULong kPageEntryCount = 5000;
constexpr int kOwnAccount = -1;
constexpr char kNotePrefix[] = "note: ";

// Which entries of a call were found. A transfer has two: money leaves (first), arrives (second).
struct Found {
  uint8_t first = 0;
  uint8_t second = 0;
};

bool moves_money(Operation operation) {
  switch (operation) {
    case Operation::kDeposit:
    case Operation::kDepositShared:
    case Operation::kWithdraw:
    case Operation::kTransfer:
    case Operation::kOrder:
    case Operation::kNote: return true;
    default: return false;
  }
}

class LedgerCheck {
 public:
  LedgerCheck(const LoadOptions& options, CallLog& log) : options_(options), log_(log) {
    found_.resize(log.thread_count());
    for (unsigned i = 0; i < log.thread_count(); ++i) {
      found_[i].resize(log.thread(i).call_count.load());
    }
  }

  // `shared` is the account's index or kOwnAccount.
  void read(Bank::Teller_ptr teller, const std::string& owner, int shared, unsigned own_thread) {
    const Bank::Account_var account = teller->open(owner.c_str());
    int64_t balance = 0;
    std::vector<int64_t> last_number(log_.thread_count(), -1);
    for (CORBA::ULong at = 0;;) {
      expect_answer_within(options_.hang_s);
      Bank::EntryList_var page = account->entries(at, kPageEntryCount);
      for (CORBA::ULong i = 0; i < page->length(); ++i) {
        const Bank::Entry& entry = page[i];
        const std::string where = owner + " entry " + std::to_string(at + i);
        balance += entry.amount;
        expect(entry.sequence == at + i, where, "has another sequence number");
        expect(entry.balance_after == balance, where, "does not add up");
        if (shared != kOwnAccount && at + i == 0) {
          expect(entry.amount == kInitialFunds, where, "is not the initial funds");
        } else {
          match(entry, where, shared, own_thread, last_number);
        }
        ++verdict.entry_count;
      }
      at += page->length();
      if (page->length() < kPageEntryCount) break;
    }
    expect(account->balance() == balance, owner, "has a balance unlike its statement");
  }

  void count_calls() {
    for (unsigned thread = 0; thread < log_.thread_count(); ++thread) {
      for (uint32_t number = 0; number < found_[thread].size(); ++number) {
        const CallRecord& record = log_.thread(thread).records[number];
        if (moves_money(record.operation)) judge(record, found_[thread][number], thread, number);
      }
    }
  }

  void expect(bool condition, const std::string& where, const std::string& what) {
    if (condition) return;
    ++verdict.violation_count;
    if (verdict.violations.size() < kKeptViolationCount) {
      verdict.violations.push_back(where + " " + what);
    }
  }

  LedgerVerdict verdict;

 private:
  void match(const Bank::Entry& entry, const std::string& where, int shared, unsigned own_thread,
             std::vector<int64_t>& last_number) {
    const std::string what = entry.what.in();
    const bool is_note = what.rfind(kNotePrefix, 0) == 0;
    const int64_t tag =
        is_note ? std::atoll(what.c_str() + sizeof kNotePrefix - 1) : int64_t{entry.amount};
    const CallName name = call_of(tag);
    if (name.thread >= found_.size() || name.number >= found_[name.thread].size()) {
      expect(false, where, "(" + what + " " + std::to_string(tag) + ") was never asked for");
      return;
    }
    const CallRecord& record = log_.thread(name.thread).records[name.number];
    Found& found = found_[name.thread][name.number];
    const bool is_own = shared == kOwnAccount && own_thread == name.thread;
    const bool is_from = shared == record.from_shared, is_to = shared == record.to_shared;
    const bool comes = entry.amount > 0, goes = entry.amount < 0;
    bool fits = false, in_order = true, has_value = false;
    switch (record.operation) {
      case Operation::kDeposit:
        fits = is_own && comes && what == "deposit";
        has_value = true;
        break;
      case Operation::kDepositShared:
        fits = is_to && comes && what == "deposit";
        has_value = true;
        break;
      case Operation::kWithdraw:
        fits = is_own && goes && what == "withdraw";
        has_value = true;
        break;
      case Operation::kTransfer:
        fits = (is_from && goes && what.rfind("transfer to ", 0) == 0) ||
               (is_to && comes && what.rfind("transfer from ", 0) == 0);
        break;
      case Operation::kOrder:
        fits = is_to && comes && what == "order";
        in_order = false;
        break;
      case Operation::kNote:
        fits = is_own && is_note;
        in_order = false;
        break;
      default: break;
    }
    expect(fits, where, "(" + what + ") belongs to another call: " + name_of(record.operation));
    if (!fits) return;
    uint8_t& times = comes ? found.second : found.first;
    times = static_cast<uint8_t>(std::min(times + 1, 255));
    if (has_value && record.outcome == Outcome::kAcknowledged) {
      expect(record.value == entry.balance_after, where,
             "was answered with balance " + std::to_string(record.value));
    }
    if (in_order) {
      expect(int64_t{name.number} > last_number[name.thread], where,
             "is out of its client's order");
      last_number[name.thread] = name.number;
    }
  }

  void judge(const CallRecord& record, Found found, unsigned thread, uint32_t number) {
    ++verdict.checked_call_count;
    const std::string where = std::string(name_of(record.operation)) + " " +
                              std::to_string(number) + " of thread " + std::to_string(thread);
    // Once or not at all: 1 and 0; never: anything else.
    const bool has_two = record.operation == Operation::kTransfer;
    const bool goes = record.operation == Operation::kWithdraw ||
                      record.operation == Operation::kNote;
    const unsigned times = has_two || !goes ? found.second : found.first;
    expect(!has_two || found.first == found.second, where,
           "left one account " + std::to_string(found.first) + " times, reached the other " +
               std::to_string(found.second) + " times");
    expect(times <= 1, where, "was done " + std::to_string(times) + " times");
    switch (record.outcome) {
      case Outcome::kAcknowledged:
        if (record.operation == Operation::kNote) {
          verdict.lost_note_count += times == 0;
          break;
        }
        [[fallthrough]];
      case Outcome::kCompleted:
        expect(times != 0, where, "was acknowledged and is lost");
        break;
      case Outcome::kRefused:
      case Outcome::kNotCompleted:
        expect(times == 0, where, "was refused and done all the same");
        break;
      case Outcome::kMaybe:
      case Outcome::kInFlight:
        verdict.applied_unacknowledged += times;
        break;
    }
  }

  const LoadOptions& options_;
  CallLog& log_;
  std::vector<std::vector<Found>> found_;
};

// Every open made one account. Others may open accounts meanwhile, so only "open" counts both ways.
void check_account_count(const LoadOptions& options, CallLog& log, Bank::Teller_ptr teller,
                         uint64_t accounts_before, LedgerCheck& check) {
  uint64_t made = 0, maybe_made = 0;
  for (unsigned thread = 0; thread < log.thread_count(); ++thread) {
    const ThreadLog& t = log.thread(thread);
    for (uint64_t i = 0; i < t.call_count.load(); ++i) {
      if (t.records[i].operation != Operation::kOpen) continue;
      const Outcome outcome = t.records[i].outcome;
      made += outcome == Outcome::kAcknowledged || outcome == Outcome::kCompleted;
      maybe_made += outcome == Outcome::kMaybe || outcome == Outcome::kInFlight;
    }
  }
  CORBA::ULong accounts_now = 0;
  teller->audit(accounts_now);
  const uint64_t difference = accounts_now - accounts_before;
  const std::string counts = std::to_string(difference) + " new accounts, " +
                             std::to_string(made) + " opened, " + std::to_string(maybe_made) +
                             " perhaps";
  check.expect(difference >= made, "the bank", "lost accounts: " + counts);
  check.expect(options.mix != Mix::kOpen || difference <= made + maybe_made, "the bank",
               "has accounts nobody opened: " + counts);
}

}  // namespace

void fund_shared_accounts(const LoadOptions& options, Bank::Teller_ptr teller) {
  for (unsigned i = 0; i < options.shared_account_count; ++i) {
    expect_answer_within(options.hang_s);
    const Bank::Account_var account = teller->open(shared_account(options, i).c_str());
    if (account->deposit(kInitialFunds) != kInitialFunds) {
      throw std::runtime_error(shared_account(options, i) + " is not new: choose another --prefix");
    }
  }
}

LedgerVerdict check_ledger(const LoadOptions& options, CallLog& log, Bank::Teller_ptr teller,
                           uint64_t accounts_before) {
  LedgerCheck check(options, log);
  expect_answer_within(options.hang_s);
  teller->drain();
  for (unsigned i = 0; i < log.thread_count(); ++i) {
    check.read(teller, own_account(options, i), kOwnAccount, i);
  }
  for (unsigned i = 0; i < options.shared_account_count; ++i) {
    check.read(teller, shared_account(options, i), static_cast<int>(i), 0);
  }
  check.count_calls();
  check_account_count(options, log, teller, accounts_before, check);
  const CORBA::String_var fingerprint = teller->fingerprint();
  expect_answer_within(0);
  check.verdict.fingerprint = fingerprint.in();
  return std::move(check.verdict);
}

}  // namespace bank
