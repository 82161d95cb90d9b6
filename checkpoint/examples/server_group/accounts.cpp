// SPDX-License-Identifier: Apache-2.0
#include "accounts.h"

namespace server_group {

Accounts::Client* Accounts::client(uint64_t number) {
  for (Client& each : clients) {
    if (each.client == number) return &each;
  }
  return nullptr;
}

Answer Accounts::carry_out(const Request& request) {
  Answer answer{request.number, Status::kOk, 0, 0};
  int64_t& balance = balances[request.account];
  if (request.operation == Operation::kDeposit) {
    balance += request.amount;
  } else if (request.operation == Operation::kTransfer) {
    if (balance < request.amount) {
      answer.status = Status::kNoMoney;
    } else {
      balance -= request.amount;
      balances[request.to_account] += request.amount;
    }
  } else if (request.operation != Operation::kRead) {
    answer.status = Status::kBadRequest;
  }
  answer.balance = balance;
  return answer;
}

Answer Accounts::answer(const Request& request, bool* changed) {
  *changed = false;
  Answer refusal{request.number, Status::kBadRequest, 0, 0};
  if (request.client == 0 || request.account >= kAccounts || request.to_account >= kAccounts ||
      request.amount < 0) {
    return refusal;
  }
  Client* known = client(request.client);
  if (request.operation == Operation::kGoodbye) {
    *changed = known != nullptr;
    if (known != nullptr) *known = Client();
    return Answer{request.number, Status::kOk, 0, 0};
  }
  if (known != nullptr && request.number <= known->last.number) {
    if (request.number == known->last.number) return known->last;
    refusal.status = Status::kStale;
    return refusal;
  }
  if (known == nullptr) known = client(0);
  if (known == nullptr) {
    refusal.status = Status::kFull;
    return refusal;
  }
  *changed = true;
  known->client = request.client;
  known->last = carry_out(request);
  return known->last;
}

}  // namespace server_group
