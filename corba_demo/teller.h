// SPDX-License-Identifier: Apache-2.0
//
// The Teller: the table of accounts, the order queue, and the bank-wide operations.
//
// Thread safety: all operations may run at once. The table is under a shared mutex and accounts are
// never removed, so a pointer found in it stays good; the accounts lock themselves.
// Lock order: table, then accounts by name.
#pragma once

#include <map>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <string>

#include "account.h"
#include "order_queue.h"

namespace bank {

class TellerServant : public POA_Bank::Teller {
 public:
  // New accounts are activated in `poa`.
  explicit TellerServant(PortableServer::POA_ptr poa);

  Bank::Account_ptr open(const char* owner) override;
  void transfer(const char* from_owner, const char* to_owner, CORBA::LongLong amount) override;
  CORBA::LongLong audit(CORBA::ULong& accounts) override;
  void post_order(const char* owner, CORBA::LongLong amount) override;
  void drain() override;
  char* fingerprint() override;
  void ping() override {}
  Bank::Octets* echo(const Bank::Octets& data) override;
  CORBA::ULongLong now() override;
  char* random_token() override;

 private:
  struct Account {
    PortableServer::Servant_var<AccountServant> servant;
    Bank::Account_var reference;
  };

  // Throws Bank::NoSuchAccount.
  AccountServant& find(const char* owner);

  PortableServer::POA_var poa_;
  std::shared_mutex table_mutex_;
  std::map<std::string, Account> table_;  // by owner
  std::mutex random_mutex_;
  std::random_device random_device_;
  std::mt19937_64 random_engine_;
  OrderQueue orders_;  // last: its workers use the accounts
};

}  // namespace bank
