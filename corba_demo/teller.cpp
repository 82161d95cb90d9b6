// SPDX-License-Identifier: Apache-2.0
#include "teller.h"

#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <vector>

namespace bank {

namespace {
constexpr unsigned kOrderWorkerCount = 2;
constexpr size_t kMostFingerprintLines = 1000;
}  // namespace

TellerServant::TellerServant(PortableServer::POA_ptr poa)
    : poa_(PortableServer::POA::_duplicate(poa)),
      random_engine_(random_device_()),
      orders_(kOrderWorkerCount) {}

Bank::Account_ptr TellerServant::open(const char* owner) {
  {
    const std::shared_lock lock(table_mutex_);
    const auto found = table_.find(owner);
    if (found != table_.end()) return Bank::Account::_duplicate(found->second.reference);
  }
  const std::unique_lock lock(table_mutex_);
  const auto found = table_.find(owner);  // somebody may have been faster
  if (found != table_.end()) return Bank::Account::_duplicate(found->second.reference);
  Account account;
  account.servant = new AccountServant(owner);
  const PortableServer::ObjectId_var id = poa_->activate_object(account.servant);
  const CORBA::Object_var object = poa_->id_to_reference(id);
  account.reference = Bank::Account::_narrow(object);
  table_.emplace(owner, account);
  return Bank::Account::_duplicate(account.reference);
}

void TellerServant::transfer(const char* from_owner, const char* to_owner,
                             CORBA::LongLong amount) {
  AccountServant& from = find(from_owner);
  AccountServant& to = find(to_owner);
  AccountServant::transfer(from, to, amount);
}

CORBA::LongLong TellerServant::audit(CORBA::ULong& accounts) {
  const std::shared_lock lock(table_mutex_);
  uint64_t sum = 0;  // unsigned: if there is ever that much money, it wraps
  for (auto& [owner, account] : table_) {
    sum += static_cast<uint64_t>(account.servant->summary().balance);
  }
  accounts = static_cast<CORBA::ULong>(table_.size());
  return static_cast<CORBA::LongLong>(sum);
}

void TellerServant::post_order(const char* owner, CORBA::LongLong amount) {
  require_positive(amount);
  orders_.post(find(owner), amount);
}

void TellerServant::drain() { orders_.drain(); }

char* TellerServant::fingerprint() {
  const OrderQueue::Counts orders = orders_.counts();
  const std::shared_lock lock(table_mutex_);
  uint64_t hash = hash_bytes(0xcbf29ce484222325, &orders, sizeof orders);
  std::string lines;
  size_t line_count = 0;
  uint64_t sum = 0;
  for (auto& [owner, account] : table_) {
    const AccountSummary summary = account.servant->summary();
    sum += static_cast<uint64_t>(summary.balance);
    hash = hash_bytes(hash, owner.c_str(), owner.size() + 1);
    hash = hash_bytes(hash, &summary, sizeof summary);
    if (++line_count > kMostFingerprintLines) continue;
    char numbers[100];
    std::snprintf(numbers, sizeof numbers,
                  " balance=%" PRId64 " entries=%" PRIu64 " statement=%016" PRIx64 "\n",
                  summary.balance, summary.entry_count, summary.statement_hash);
    lines += owner + numbers;
  }
  char head[160];
  std::snprintf(head, sizeof head,
                "bank %016" PRIx64 " accounts=%zu sum=%" PRId64 " orders=%" PRIu64 "/%" PRIu64 "\n",
                hash, table_.size(), static_cast<int64_t>(sum), orders.applied, orders.posted);
  return CORBA::string_dup((head + lines).c_str());
}

Bank::Octets* TellerServant::echo(const Bank::Octets& data) { return new Bank::Octets(data); }

CORBA::ULongLong TellerServant::now() {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<CORBA::ULongLong>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since_1970).count());
}

char* TellerServant::random_token() {
  const std::lock_guard lock(random_mutex_);
  const uint64_t from_device = uint64_t{random_device_()} << 32 | random_device_();
  char token[49];
  std::snprintf(token, sizeof token, "%016" PRIx64 "%016" PRIx64 "%016" PRIx64, from_device,
                random_engine_(), random_engine_());
  return CORBA::string_dup(token);
}

AccountServant& TellerServant::find(const char* owner) {
  const std::shared_lock lock(table_mutex_);
  const auto found = table_.find(owner);
  if (found == table_.end()) throw Bank::NoSuchAccount(owner);
  return *found->second.servant.in();
}

}  // namespace bank
