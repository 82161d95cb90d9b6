// SPDX-License-Identifier: Apache-2.0
#include "account.h"

#include <algorithm>
#include <memory>

namespace bank {

uint64_t hash_bytes(uint64_t hash, const void* data, size_t size_bytes) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < size_bytes; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3;
  return hash;
}

void require_positive(int64_t amount) {
  if (amount <= 0) throw CORBA::BAD_PARAM(0, CORBA::COMPLETED_NO);
}

char* AccountServant::name() { return CORBA::string_dup(name_.c_str()); }

CORBA::LongLong AccountServant::balance() {
  const std::lock_guard lock(mutex_);
  return balance_;
}

CORBA::LongLong AccountServant::deposit(CORBA::LongLong amount) {
  require_positive(amount);
  const std::lock_guard lock(mutex_);
  append("deposit", amount);
  return balance_;
}

CORBA::LongLong AccountServant::withdraw(CORBA::LongLong amount) {
  require_positive(amount);
  const std::lock_guard lock(mutex_);
  require_funds(amount);
  append("withdraw", -amount);
  return balance_;
}

Bank::EntryList* AccountServant::statement() {
  const std::lock_guard lock(mutex_);
  return copy_of(0, statement_.size());
}

Bank::EntryList* AccountServant::entries(CORBA::ULong first, CORBA::ULong count) {
  const std::lock_guard lock(mutex_);
  return copy_of(first, count);
}

void AccountServant::note(const char* text) {
  const std::lock_guard lock(mutex_);
  append(std::string("note: ") + text, 0);
}

void AccountServant::apply_order(int64_t amount) {
  const std::lock_guard lock(mutex_);
  int64_t unused = 0;
  if (__builtin_add_overflow(balance_, amount, &unused)) {
    append("order refused", 0);
  } else {
    append("order", amount);
  }
}

AccountSummary AccountServant::summary() {
  const std::lock_guard lock(mutex_);
  return {balance_, statement_.size(), statement_hash_};
}

void AccountServant::transfer(AccountServant& from, AccountServant& to, int64_t amount) {
  require_positive(amount);
  const bool from_is_first = from.name_ < to.name_;
  const std::lock_guard first((from_is_first ? from : to).mutex_);
  std::unique_lock<std::mutex> second;
  if (&from != &to) second = std::unique_lock((from_is_first ? to : from).mutex_);
  from.require_funds(amount);
  from.append("transfer to " + to.name_, -amount);
  to.append("transfer from " + from.name_, amount);
}

void AccountServant::append(std::string what, int64_t amount) {
  int64_t balance_after = 0;
  if (__builtin_add_overflow(balance_, amount, &balance_after)) {
    throw CORBA::BAD_PARAM(0, CORBA::COMPLETED_NO);
  }
  const int64_t numbers[2] = {amount, balance_after};
  statement_hash_ = hash_bytes(statement_hash_, what.data(), what.size());
  statement_hash_ = hash_bytes(statement_hash_, numbers, sizeof numbers);
  statement_.push_back({std::move(what), amount, balance_after});
  balance_ = balance_after;
}

void AccountServant::require_funds(int64_t amount) const {
  if (balance_ < amount) throw Bank::InsufficientFunds(balance_, amount);
}

Bank::EntryList* AccountServant::copy_of(uint64_t first, uint64_t count) const {
  first = std::min<uint64_t>(first, statement_.size());
  count = std::min<uint64_t>(count, statement_.size() - first);
  auto copy = std::make_unique<Bank::EntryList>();
  copy->length(static_cast<CORBA::ULong>(count));
  for (uint64_t i = 0; i < count; ++i) {
    const Entry& entry = statement_[first + i];
    Bank::Entry& to = (*copy)[static_cast<CORBA::ULong>(i)];
    to.what = entry.what.c_str();
    to.amount = entry.amount;
    to.balance_after = entry.balance_after;
    to.sequence = static_cast<CORBA::ULong>(first + i);
  }
  return copy.release();
}

}  // namespace bank
