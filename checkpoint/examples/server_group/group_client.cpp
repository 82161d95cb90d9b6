// SPDX-License-Identifier: Apache-2.0
#include "group_client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <random>

#include "group_view.h"
#include "protocol.h"

namespace server_group {

GroupClient::GroupClient(const std::string& directory, int patience_ms)
    : path_(GroupDirectory(directory).socket()), patience_ms_(patience_ms) {
  std::random_device random;
  request_.client = (uint64_t{random()} << 32 | random()) | 1;
}

GroupClient::~GroupClient() {
  if (!socket_.is_valid()) return;
  request_.operation = Operation::kGoodbye;
  ++request_.number;
  Answer answer;
  static_cast<void>(socket_.send(request_) && socket_.receive(&answer));
}

int64_t GroupClient::call(Operation operation, uint32_t account, uint32_t to_account,
                          int64_t amount) {
  ++request_.number;
  request_.operation = operation;
  request_.account = account;
  request_.to_account = to_account;
  request_.amount = amount;
  return ask_again();
}

int64_t GroupClient::ask_again() {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms_);
  Answer answer{};
  while (!try_to_call(&answer)) {
    socket_ = Socket();
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error(path_ + ": no answer");
    usleep(1000);
  }
  if (answer.status != Status::kOk) throw Refused(answer.status);
  return answer.balance;
}

bool GroupClient::try_to_call(Answer* answer) {
  if (!socket_.is_valid()) {
    socket_ = Socket::connected_to(path_);
    if (!socket_.is_valid() || !socket_.send(Hello{Caller::kClient, 0})) return false;
    socket_.limit_ms(patience_ms_);
    ucred listener{};
    socklen_t size_bytes = sizeof(listener);
    getsockopt(socket_.descriptor(), SOL_SOCKET, SO_PEERCRED, &listener, &size_bytes);
    primary_ = listener.pid;
  }
  return socket_.send(request_) && socket_.receive(answer) && answer->number == request_.number;
}

}  // namespace server_group
