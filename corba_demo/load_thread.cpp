// SPDX-License-Identifier: Apache-2.0
#include "load_thread.h"

#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <stdexcept>

#include "load_client.h"

namespace bank {

struct LoadThread::Wrong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace {

constexpr size_t kMostOpenedKept = 1000;
constexpr CORBA::ULong kMostEchoBytes = 40000;  // several fragments
constexpr uint64_t kLate_ns = 1'000'000;
constexpr uint64_t kPauseAfterError_ns = 1'000'000;

struct Share {
  Operation operation;
  unsigned percent;
};
constexpr Share kDepositShares[] = {{Operation::kDeposit, 50}, {Operation::kDepositShared, 50}};
constexpr Share kPingShares[] = {{Operation::kPing, 100}};
constexpr Share kTransferShares[] = {{Operation::kTransfer, 100}};
constexpr Share kOpenShares[] = {{Operation::kOpen, 90}, {Operation::kReopen, 10}};
constexpr Share kQueueShares[] = {{Operation::kOrder, 100}};
constexpr Share kMixedShares[] = {
    {Operation::kDeposit, 20}, {Operation::kDepositShared, 20}, {Operation::kTransfer, 20},
    {Operation::kWithdraw, 8}, {Operation::kBalance, 8},        {Operation::kOrder, 6},
    {Operation::kEcho, 5},     {Operation::kPing, 5},           {Operation::kNote, 3},
    {Operation::kEntries, 3},  {Operation::kOpen, 1},           {Operation::kReopen, 1}};

template <size_t N>
Operation pick(const Share (&shares)[N], uint64_t percent) {
  for (const Share& share : shares) {
    if (percent < share.percent) return share.operation;
    percent -= share.percent;
  }
  return shares[0].operation;
}

void sleep_until(uint64_t time_ns) {
  const timespec time{static_cast<time_t>(time_ns / 1'000'000'000),
                      static_cast<long>(time_ns % 1'000'000'000)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr) == EINTR) {
  }
}

std::string text_of(const CORBA::SystemException& e) {
  const char* const minor = e.NP_minorString();
  static const char* const kCompletion[] = {"yes", "no", "maybe"};
  return std::string(e._name()) + " " + (minor != nullptr ? minor : std::to_string(e.minor())) +
         " completed " + kCompletion[e.completed()];
}

Outcome outcome_of(const CORBA::SystemException& e) {
  switch (e.completed()) {
    case CORBA::COMPLETED_NO: return Outcome::kNotCompleted;
    case CORBA::COMPLETED_YES: return Outcome::kCompleted;
    default: return Outcome::kMaybe;
  }
}

}  // namespace

LoadThread::LoadThread(const LoadOptions& options, unsigned index, ThreadLog& log,
                       Bank::Teller_ptr teller)
    : options_(options),
      index_(index),
      log_(log),
      teller_(Bank::Teller::_duplicate(teller)),
      random_(options.seed * 1'000'003 + index) {}

void LoadThread::prepare() {
  own_ = teller_->open(own_account(options_, index_).c_str());
  Bank::EntryList_var entries = own_->entries(0, 1);
  if (entries->length() != 0) throw std::runtime_error("the account is not new: other --prefix?");
  for (unsigned i = 0; i < options_.shared_account_count; ++i) {
    shared_names_.push_back(shared_account(options_, i));
    shared_.push_back(teller_->open(shared_names_.back().c_str()));
  }
}

void LoadThread::run(CallLog::Control& control) {
  const unsigned thread_count = options_.thread_count();
  uint64_t goal = log_.record_capacity;
  if (options_.call_count > 0) {
    goal = std::min(goal, options_.call_count / thread_count +
                              (index_ < options_.call_count % thread_count ? 1 : 0));
  }
  const uint64_t begin_ns = control.begin_ns.load();
  const uint64_t end_ns = control.end_ns.load();
  const double interval_ns = options_.rate_per_s > 0 ? 1e9 / options_.rate_per_s : 0;
  sleep_until(begin_ns);
  for (uint64_t i = 0; i < goal && !control.stop.load(std::memory_order_relaxed); ++i) {
    uint64_t due_ns = 0;
    if (interval_ns > 0) {
      // The threads take turns in one schedule.
      const auto turn = static_cast<double>(i * thread_count + index_);
      due_ns = begin_ns + static_cast<uint64_t>(turn * interval_ns);
      if (end_ns != 0 && due_ns >= end_ns) return;
      sleep_until(due_ns);
    }
    if (end_ns != 0 && monotonic_ns() >= end_ns) return;
    make_call(choose(), due_ns);
  }
}

void LoadThread::check_opened() {
  for (const Opened& opened : opened_) {
    try {
      const CORBA::String_var name = opened.account->name();
      if (opened.owner == name.in()) continue;
      note_error({}, {index_, 0}, "reference to " + opened.owner + " leads to " + name.in());
    } catch (const CORBA::SystemException& e) {
      note_error({}, {index_, 0}, "reference to " + opened.owner + ": " + text_of(e));
    }
  }
}

Operation LoadThread::choose() {
  const uint64_t percent = random(100);
  switch (options_.mix) {
    case Mix::kDeposit: return pick(kDepositShares, percent);
    case Mix::kPing: return pick(kPingShares, percent);
    case Mix::kTransfer: return pick(kTransferShares, percent);
    case Mix::kOpen: return pick(kOpenShares, percent);
    case Mix::kQueue: return pick(kQueueShares, percent);
    case Mix::kMixed: return pick(kMixedShares, percent);
  }
  return Operation::kPing;
}

void LoadThread::make_call(Operation operation, uint64_t due_ns) {
  const uint64_t number = log_.call_count.load(std::memory_order_relaxed);
  const CallName name{index_, static_cast<uint32_t>(number)};
  CallRecord& record = log_.records[number];
  record.operation = operation;
  record.outcome = Outcome::kInFlight;
  record.from_shared = static_cast<uint8_t>(random(shared_.size()));
  record.to_shared = static_cast<uint8_t>(
      (record.from_shared + 1 + random(shared_.size() - 1)) % shared_.size());
  record.start_ns = monotonic_ns();
  log_.call_count.store(number + 1, std::memory_order_release);
  if (due_ns != 0 && record.start_ns > due_ns + kLate_ns) ++log_.late_start_count;
  try {
    // An answer is an answer: what is wrong with it is noted, but the call was acknowledged.
    std::string wrong;
    try {
      perform(operation, record, name);
    } catch (const Wrong& e) {
      wrong = e.what();
    }
    record.reply_ns = monotonic_ns();
    if (record.outcome == Outcome::kInFlight) record.outcome = Outcome::kAcknowledged;
    log_.latency.add(record.reply_ns - record.start_ns);
    if (due_ns != 0) log_.response.add(record.reply_ns - std::min(due_ns, record.reply_ns));
    if (!wrong.empty()) {
      ++log_.wrong_answer_count;
      note_error(record, name, wrong);
    }
  } catch (const CORBA::SystemException& e) {
    record.reply_ns = monotonic_ns();
    record.outcome = outcome_of(e);
    own_balance_.reset();
    note_error(record, name, text_of(e));
    sleep_until(record.reply_ns + kPauseAfterError_ns);  // not to flood a bank that is away
  } catch (const CORBA::Exception& e) {
    record.reply_ns = monotonic_ns();
    record.outcome = Outcome::kRefused;
    note_error(record, name, std::string("unexpected ") + e._name());
  }
}

void LoadThread::perform(Operation operation, CallRecord& record, CallName name) {
  switch (operation) {
    case Operation::kDeposit: {
      const std::optional<int64_t> before = own_balance_;
      deposit(own_, record, name);
      own_balance_ = record.value;
      if (before && record.value != *before + amount_of(name)) {
        throw Wrong("deposit: balance " + std::to_string(record.value) + ", not " +
                    std::to_string(*before + amount_of(name)));
      }
      break;
    }
    case Operation::kDepositShared: deposit(shared_[record.to_shared], record, name); break;
    case Operation::kWithdraw: withdraw(record, name); break;
    case Operation::kTransfer:
      teller_->transfer(shared_names_[record.from_shared].c_str(),
                        shared_names_[record.to_shared].c_str(), amount_of(name));
      break;
    case Operation::kOrder:
      teller_->post_order(shared_names_[record.to_shared].c_str(), amount_of(name));
      break;
    case Operation::kNote: own_->note(std::to_string(amount_of(name)).c_str()); break;
    case Operation::kOpen: open(name); break;
    case Operation::kReopen: reopen(); break;
    case Operation::kBalance: check_balance(own_->balance()); break;
    case Operation::kEntries: read_entries(); break;
    case Operation::kEcho: echo(); break;
    case Operation::kPing: teller_->ping(); break;
  }
}

void LoadThread::deposit(Bank::Account_ptr account, CallRecord& record, CallName name) {
  record.value = account->deposit(amount_of(name));
}

// The own account's balance is known, so it is known which answer is right.
void LoadThread::withdraw(CallRecord& record, CallName name) {
  const std::optional<int64_t> before = own_balance_;
  const int64_t amount = amount_of(name);
  try {
    record.value = own_->withdraw(amount);
    own_balance_ = record.value;
    if (before && record.value != *before - amount) throw Wrong("withdraw: wrong balance");
  } catch (const Bank::InsufficientFunds& e) {
    record.outcome = Outcome::kRefused;
    if (before && (*before >= amount || e.balance != *before || e.requested != amount)) {
      throw Wrong("InsufficientFunds, though the balance is " + std::to_string(*before));
    }
    own_balance_ = e.balance;
  }
}

void LoadThread::open(CallName name) {
  Opened opened;
  opened.owner = options_.prefix + "-open-" + std::to_string(amount_of(name));
  opened.account = teller_->open(opened.owner.c_str());
  if (CORBA::is_nil(opened.account)) throw Wrong("open gave a nil reference");
  if (opened_.size() < kMostOpenedKept) {
    opened_.push_back(opened);
  } else if (random(16) == 0) {
    opened_[random(kMostOpenedKept)] = opened;
  }
}

// An account that exists is found again, not made again.
void LoadThread::reopen() {
  if (opened_.empty()) {
    const Bank::Account_var again = teller_->open(own_account(options_, index_).c_str());
    if (!again->_is_equivalent(own_)) throw Wrong("reopen: another object");
    return;
  }
  const Opened& opened = opened_[random(opened_.size())];
  const Bank::Account_var again = teller_->open(opened.owner.c_str());
  if (!again->_is_equivalent(opened.account)) throw Wrong("reopen: another object");
}

void LoadThread::read_entries() {
  const auto first = static_cast<CORBA::ULong>(random(1000));
  Bank::EntryList_var entries = shared_[random(shared_.size())]->entries(first, 50);
  for (CORBA::ULong i = 0; i < entries->length(); ++i) {
    const Bank::Entry& entry = entries[i];
    if (entry.sequence != first + i) throw Wrong("entries: wrong sequence number");
    if (i > 0 && entry.balance_after != entries[i - 1].balance_after + entry.amount) {
      throw Wrong("entries: balances do not add up");
    }
  }
}

void LoadThread::echo() {
  const auto size_bytes = static_cast<CORBA::ULong>(random(kMostEchoBytes));
  const uint64_t first = random(1 << 16);
  Bank::Octets sent;
  sent.length(size_bytes);
  for (CORBA::ULong i = 0; i < size_bytes; ++i) {
    sent[i] = static_cast<CORBA::Octet>(first + i * 7 + i / 251);
  }
  Bank::Octets_var received = teller_->echo(sent);
  bool same = received->length() == size_bytes;
  for (CORBA::ULong i = 0; same && i < size_bytes; ++i) same = received[i] == sent[i];
  if (!same) throw Wrong("echo of " + std::to_string(size_bytes) + " bytes came back different");
}

void LoadThread::check_balance(CORBA::LongLong balance) {
  const std::optional<int64_t> expected = own_balance_;
  own_balance_ = balance;
  if (expected && balance != *expected) {
    throw Wrong("balance " + std::to_string(balance) + ", not " + std::to_string(*expected));
  }
}

void LoadThread::note_error(const CallRecord& record, CallName name, const std::string& text) {
  const uint64_t number = log_.error_count.fetch_add(1);
  if (number >= ThreadLog::kKeptErrorCount) return;
  ErrorRecord& error = log_.errors[number];
  error.time_ns = record.reply_ns != 0 ? record.reply_ns : monotonic_ns();
  error.call_number = name.number;
  error.operation = record.operation;
  std::snprintf(error.text, sizeof error.text, "%s", text.c_str());
}

}  // namespace bank
