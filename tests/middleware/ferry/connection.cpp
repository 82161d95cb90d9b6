// SPDX-License-Identifier: Apache-2.0
#include "ferry/connection.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ferry/annotations.h"

namespace ferry {

Connection::~Connection() { close(fd_); }

bool Connection::read(const std::function<void(Request)>& take) {
  char buffer[16384];
  for (;;) {
    const ssize_t size = recv(fd_, buffer, sizeof buffer, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN;
    if (size == 0) return false;
    idle_beats_.store(0);
    unread_.append(buffer, static_cast<size_t>(size));
    return take_messages(take);
  }
}

bool Connection::take_messages(const std::function<void(Request)>& take) {
  size_t at = 0;
  while (unread_.size() - at >= kHeaderBytes) {
    const Header header = read_header(unread_.data() + at);
    const size_t size = size_t{header.length} + kLengthBytes;
    const bool one_way = header.kind == static_cast<uint8_t>(Kind::kOneWay);
    if (size < kHeaderBytes || size > kMostBytes) return false;
    if (!one_way && header.kind != static_cast<uint8_t>(Kind::kRequest)) return false;
    if (unread_.size() - at < size) break;
    Request request{shared_from_this(), header.id, one_way, "", "", ""};
    Input body(std::string_view(unread_).substr(at + kHeaderBytes, size - kHeaderBytes));
    if (!body.text(&request.key) || !body.text(&request.operation)) return false;
    request.arguments = body.rest();
    take(std::move(request));
    at += size;
  }
  unread_.erase(0, at);
  return true;
}

void Connection::reply(uint32_t id, uint8_t status, const std::string& body) {
  const std::string bytes = message(Kind::kReply, status, id, body);
  FERRY_JOIN_POINT("output-begins", AUXIN_ROLE_OUTPUT_BEGINS, this);
  Holding hold(writing_);
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t size = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (size > 0) sent += static_cast<size_t>(size);
    if (size < 0 && errno == EAGAIN) {
      pollfd ready{fd_, POLLOUT, 0};
      poll(&ready, 1, -1);
    } else if (size < 0 && errno != EINTR) {
      return;  // the poller finds out too
    }
  }
}

}  // namespace ferry
