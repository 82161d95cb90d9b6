// SPDX-License-Identifier: Apache-2.0
//
// The service that the group gives, and its whole state: accounts, and for each client the number
// of its last request with the answer. So a request that comes again is answered and not done
// again, whichever member it comes to.
#pragma once

#include <cstdint>

namespace server_group {

constexpr uint32_t kAccounts = 1024, kClients = 126;

enum class Operation : uint32_t { kRead = 1, kDeposit = 2, kTransfer = 3, kGoodbye = 4 };
enum class Status : uint32_t {
  kOk = 0,
  kStale = 1,     // an older request than the client's last one
  kFull = 2,      // no room for one more client
  kNoMoney = 3,
  kBadRequest = 4,
};

// From a client, with its number: 1, 2, …; the same number again if there was no answer.
struct Request {
  uint64_t client, number;
  Operation operation;
  uint32_t account, to_account;
  uint32_t zero;
  int64_t amount;
};

struct Answer {
  uint64_t number;
  Status status;
  uint32_t zero;
  int64_t balance;  // of `account`, after it
};

struct alignas(4096) Accounts {
  struct Client {
    uint64_t client;  // 0: nobody
    Answer last;
  };
  int64_t balances[kAccounts];
  Client clients[kClients];

  // Deterministic. *changed: something was stored.
  Answer answer(const Request& request, bool* changed);

 private:
  Client* client(uint64_t number);
  Answer carry_out(const Request& request);
};

}  // namespace server_group
