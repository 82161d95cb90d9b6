// SPDX-License-Identifier: Apache-2.0
#include "file_client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>

namespace file_service {
namespace {

// Not 0, and not another client's.
uint64_t new_client() {
  std::random_device random;
  return (uint64_t{random()} << 32 | random()) | 1;
}

}  // namespace

FileClient::FileClient(std::string socket, int patience_ms)
    : path_(std::move(socket)), patience_ms_(patience_ms), client_(new_client()) {}

FileClient::~FileClient() {
  if (socket_ < 0) return;
  const Request goodbye = request_of(Operation::kGoodbye);
  static_cast<void>(send(socket_, &goodbye, sizeof(goodbye), MSG_NOSIGNAL | MSG_DONTWAIT));
  close(socket_);
}

void FileClient::run(const std::function<void(FileClient&)>& work) {
  for (;;) {
    bool commits = false;
    try {
      begin();
      work(*this);
      commits = true;
      commit();
      return;
    } catch (const Disconnected&) {
      if (commits && was_committed()) return;
    } catch (const Refused& refused) {
      if (refused.status() != Status::kConflict) throw;
    }
  }
}

void FileClient::begin() {
  ++number_;
  demand(request_of(Operation::kBegin));
}

std::string FileClient::read(const std::string& name) {
  std::string bytes;
  for (;;) {
    Request request = request_of(Operation::kRead, name);
    request.offset = bytes.size();
    request.length = kDataBytes;
    const Reply reply = demand(request);
    bytes.append(reply.data, reply.length);
    if (reply.length < kDataBytes) return bytes;
  }
}

void FileClient::write(const std::string& name, uint64_t offset, const std::string& data) {
  for (uint64_t done = 0; done < data.size();) {
    Request request = request_of(Operation::kWrite, name);
    request.offset = offset + done;
    request.length = static_cast<uint32_t>(data.copy(request.data, kDataBytes, done));
    demand(request);
    done += request.length;
  }
}

void FileClient::truncate(const std::string& name, uint64_t size_bytes) {
  Request request = request_of(Operation::kTruncate, name);
  request.offset = size_bytes;
  demand(request);
}

void FileClient::commit() { demand(request_of(Operation::kCommit)); }

void FileClient::abort() { demand(request_of(Operation::kAbort)); }

bool FileClient::was_committed() {
  for (;;) {
    try {
      return call(request_of(Operation::kOutcome)).status == Status::kOk;
    } catch (const Disconnected&) {
      // It died again: connect() limits how long that goes on.
    }
  }
}

Request FileClient::request_of(Operation operation, const std::string& name) const {
  Request request{};
  request.operation = operation;
  request.client = client_;
  request.number = number_;
  if (name.empty() ? operation == Operation::kRead : name.size() >= kNameBytes) {
    throw Refused(Status::kBadRequest);
  }
  name.copy(request.name, kNameBytes - 1);
  return request;
}

Reply FileClient::demand(const Request& request) {
  const Reply reply = call(request);
  if (reply.status != Status::kOk) throw Refused(reply.status);
  return reply;
}

// A new connection has no transaction, so only these two may make one.
Reply FileClient::call(Request request) {
  if (request.operation == Operation::kBegin || request.operation == Operation::kOutcome) {
    if (socket_ < 0) connect();
  } else if (socket_ < 0) {
    throw Disconnected();
  }
  Reply reply;
  if (send(socket_, &request, sizeof(request), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(sizeof(request)) ||
      recv(socket_, &reply, sizeof(reply), 0) != static_cast<ssize_t>(sizeof(reply))) {
    disconnect();
    throw Disconnected();
  }
  return reply;
}

void FileClient::connect() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms_);
  for (;;) {
    socket_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      return;
    }
    disconnect();
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error(path_ + ": no server");
    usleep(1000);
  }
}

void FileClient::disconnect() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

}  // namespace file_service
