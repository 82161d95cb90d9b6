// SPDX-License-Identifier: Apache-2.0
//
// One thread of a client: chooses calls, makes them one after the other, and logs each.
//
// No call is ever repeated: an error is noted and the next call is a new one. Used by one thread.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "bank.hh"
#include "call_log.h"
#include "load_options.h"

namespace bank {

class LoadThread {
 public:
  LoadThread(const LoadOptions& options, unsigned index, ThreadLog& log, Bank::Teller_ptr teller);

  // Opens the accounts. Throws what the ORB throws, and std::runtime_error if the own account is
  // not new.
  void prepare();
  void run(CallLog::Control& control);
  // After run(): the references that open() gave still lead to the right accounts.
  void check_opened();

 private:
  struct Opened {
    std::string owner;
    Bank::Account_var account;
  };
  struct Wrong;  // thrown when an answer is not what it must be

  Operation choose();
  void make_call(Operation operation, uint64_t due_ns);
  void perform(Operation operation, CallRecord& record, CallName name);
  void deposit(Bank::Account_ptr account, CallRecord& record, CallName name);
  void withdraw(CallRecord& record, CallName name);
  void open(CallName name);
  void reopen();
  void read_entries();
  void echo();
  void check_balance(CORBA::LongLong balance);
  void note_error(const CallRecord& record, CallName name, const std::string& text);
  uint64_t random(uint64_t below) { return random_() % below; }

  const LoadOptions& options_;
  const unsigned index_;
  ThreadLog& log_;
  Bank::Teller_var teller_;
  Bank::Account_var own_;
  std::vector<Bank::Account_var> shared_;
  std::vector<std::string> shared_names_;
  std::vector<Opened> opened_;  // a sample
  std::mt19937_64 random_;
  // What the own account must hold; unknown after an error until the next answer.
  std::optional<int64_t> own_balance_ = 0;
};

}  // namespace bank
