// SPDX-License-Identifier: Apache-2.0
//
// A client of the group: it asks whoever serves, and asks again, with the same number, until it has
// an answer; so what it asks for is done exactly once. Not thread-safe.
#pragma once

#include <stdexcept>
#include <string>

#include "accounts.h"
#include "local_socket.h"

namespace server_group {

class Refused : public std::runtime_error {
 public:
  explicit Refused(Status status) : std::runtime_error("refused"), status_(status) {}
  Status status() const { return status_; }

 private:
  Status status_;
};

class GroupClient {
 public:
  // `patience_ms`: how long a request waits for somebody to answer it.
  explicit GroupClient(const std::string& directory, int patience_ms = 20'000);
  GroupClient(const GroupClient&) = delete;
  GroupClient& operator=(const GroupClient&) = delete;
  ~GroupClient();

  int64_t read(uint32_t account) { return call(Operation::kRead, account, account, 0); }
  // The balance after it.
  int64_t deposit(uint32_t account, int64_t amount) {
    return call(Operation::kDeposit, account, account, amount);
  }
  int64_t transfer(uint32_t from, uint32_t to, int64_t amount) {
    return call(Operation::kTransfer, from, to, amount);
  }
  // The last request's answer once more, as if the first one had been lost.
  int64_t ask_again();
  // The process that answered last.
  int primary() const { return primary_; }

 private:
  int64_t call(Operation operation, uint32_t account, uint32_t to_account, int64_t amount);
  bool try_to_call(Answer* answer);

  const std::string path_;
  const int patience_ms_;
  Request request_{};
  Socket socket_;
  int primary_ = 0;
};

}  // namespace server_group
