// SPDX-License-Identifier: Apache-2.0
//
// One account: a balance and the statement that led to it.
//
// Thread safety: every member function takes the account's own mutex; transfer() takes two, the
// lesser name's first, so transfers cannot deadlock.
// Invariants, whenever the mutex is free:
//  (1) entry i has sequence i and balance_after = entry i-1's balance_after + its amount.
//  (2) balance_ is the last entry's balance_after (0 if there is none) and never negative.
//  (3) statement_hash_ is the hash over all entries in order.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>

#include "bank.hh"

namespace bank {

// An account's state as the fingerprint shows it.
struct AccountSummary {
  int64_t balance;
  uint64_t entry_count;
  uint64_t statement_hash;
};

class AccountServant : public POA_Bank::Account {
 public:
  explicit AccountServant(std::string name) : name_(std::move(name)) {}

  char* name() override;
  CORBA::LongLong balance() override;
  CORBA::LongLong deposit(CORBA::LongLong amount) override;
  CORBA::LongLong withdraw(CORBA::LongLong amount) override;
  Bank::EntryList* statement() override;
  Bank::EntryList* entries(CORBA::ULong first, CORBA::ULong count) override;
  void note(const char* text) override;

  // Never throws for want of room in the balance: such an order is refused in the statement.
  void apply_order(int64_t amount);
  AccountSummary summary();

  // Throws Bank::InsufficientFunds, and changes nothing then.
  static void transfer(AccountServant& from, AccountServant& to, int64_t amount);

 private:
  struct Entry {
    std::string what;
    int64_t amount;
    int64_t balance_after;
  };

  // All want the mutex held.
  void append(std::string what, int64_t amount);
  void require_funds(int64_t amount) const;
  Bank::EntryList* copy_of(uint64_t first, uint64_t count) const;

  const std::string name_;
  std::mutex mutex_;
  int64_t balance_ = 0;
  std::deque<Entry> statement_;  // a deque: growing never copies what is there
  uint64_t statement_hash_ = 0xcbf29ce484222325;
};

// FNV-1a, continued from `hash`.
uint64_t hash_bytes(uint64_t hash, const void* data, size_t size_bytes);

// Raises BAD_PARAM unless the amount is positive.
void require_positive(int64_t amount);

}  // namespace bank
