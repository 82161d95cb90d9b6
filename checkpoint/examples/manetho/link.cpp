// SPDX-License-Identifier: Apache-2.0
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <utility>

namespace manetho {
namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

}  // namespace

Link::Link(int socket) : socket_(socket) {
  fcntl(socket_, F_SETFL, fcntl(socket_, F_GETFL) | O_NONBLOCK);
}

Link::Link(Link&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      output_(std::move(other.output_)),
      input_(std::move(other.input_)) {}

Link& Link::operator=(Link&& other) noexcept {
  close();
  socket_ = std::exchange(other.socket_, -1);
  output_ = std::move(other.output_);
  input_ = std::move(other.input_);
  return *this;
}

void Link::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  output_.clear();
  input_.clear();
}

void Link::send(const Frame& frame) {
  FrameHeader header = frame.header;
  header.receipt_count = static_cast<uint32_t>(frame.receipts.size());
  output_.append(reinterpret_cast<const char*>(&header), sizeof(header));
  output_.append(reinterpret_cast<const char*>(frame.receipts.data()),
                 frame.receipts.size() * sizeof(Receipt));
}

bool Link::write_some() {
  while (!output_.empty()) {
    const ssize_t put = ::send(socket_, output_.data(), output_.size(), MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno == EAGAIN;
    output_.erase(0, static_cast<size_t>(put));
  }
  return true;
}

bool Link::read_some() {
  char bytes[16384];
  for (;;) {
    const ssize_t got = recv(socket_, bytes, sizeof(bytes), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 && errno == EAGAIN;
    input_.append(bytes, static_cast<size_t>(got));
  }
}

bool Link::next(Frame* frame) {
  if (input_.size() < sizeof(FrameHeader)) return false;
  std::memcpy(&frame->header, input_.data(), sizeof(FrameHeader));
  const uint32_t count = frame->header.receipt_count;
  const size_t size_bytes = sizeof(FrameHeader) + count * sizeof(Receipt);
  if (input_.size() < size_bytes) return false;
  frame->receipts.resize(count);
  if (count != 0) {
    std::memcpy(frame->receipts.data(), input_.data() + sizeof(FrameHeader),
                count * sizeof(Receipt));
  }
  input_.erase(0, size_bytes);
  return true;
}

int listen_at(const std::string& path) {
  const sockaddr_un address = address_of(path);
  unlink(path.c_str());
  const int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made < 0 || bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(made, 8) != 0) {
    return -1;
  }
  return made;
}

int connect_to(const std::string& path) {
  const sockaddr_un address = address_of(path);
  const int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made >= 0 &&
      connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return made;
  }
  if (made >= 0) close(made);
  return -1;
}

}  // namespace manetho
