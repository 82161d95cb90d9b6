// SPDX-License-Identifier: Apache-2.0
#include "stmemu/entities/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "stmemu/file.h"

namespace auxin::stm {
namespace {

constexpr int kStall_ms = 5000;  // a peer that begins a frame and does not go on is given up

struct Address {
  sockaddr_storage storage = {};
  socklen_t size = 0;
  std::string path;
};

Result<Address> parse(const std::string& text) {
  Address address;
  if (text.rfind("unix:", 0) == 0) {
    auto* local = reinterpret_cast<sockaddr_un*>(&address.storage);
    address.path = text.substr(5);
    if (address.path.empty() || address.path.size() >= sizeof(local->sun_path)) {
      return Error{text + ": the path of a socket has 1 to 107 bytes"};
    }
    local->sun_family = AF_UNIX;
    memcpy(local->sun_path, address.path.c_str(), address.path.size() + 1);
    address.size = sizeof(sockaddr_un);
    return address;
  }
  const size_t colon = text.rfind(':');
  if (text.rfind("tcp:", 0) != 0 || colon < 5) {
    return Error{text + ": an address is unix:PATH or tcp:HOST:PORT"};
  }
  auto* remote = reinterpret_cast<sockaddr_in*>(&address.storage);
  char* end = nullptr;
  const unsigned long port = strtoul(text.c_str() + colon + 1, &end, 10);
  remote->sin_family = AF_INET;
  remote->sin_port = htons(static_cast<uint16_t>(port));
  if (*end != '\0' || port == 0 || port > 65535 ||
      inet_pton(AF_INET, text.substr(4, colon - 4).c_str(), &remote->sin_addr) != 1) {
    return Error{text + ": HOST is a numeric IPv4 address, PORT 1 to 65535"};
  }
  address.size = sizeof(sockaddr_in);
  return address;
}

bool wait_for(int fd, short events, int timeout_ms) {
  pollfd poll_fd = {fd, events, 0};
  int ready;
  do ready = poll(&poll_fd, 1, timeout_ms);
  while (ready < 0 && errno == EINTR);
  return ready > 0;
}

void send_at_once(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));  // (a Unix socket has no such thing)
}

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

Result<Socket> Socket::listen_at(const std::string& text) {
  Result<Address> address = parse(text);
  if (!address) return Error{address.error()};
  Socket socket(::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.fd() < 0) return file_error(text, "no socket", errno);
  const int on = 1;
  setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  // Whoever listened there may have died: only a socket that nobody answers at is removed.
  if (!address->path.empty() && !connect_to(text)) unlink(address->path.c_str());
  if (bind(socket.fd(), reinterpret_cast<sockaddr*>(&address->storage), address->size) != 0 ||
      listen(socket.fd(), 8) != 0) {
    return file_error(text, "can't listen there", errno);
  }
  return socket;
}

Result<Socket> Socket::connect_to(const std::string& text) {
  Result<Address> address = parse(text);
  if (!address) return Error{address.error()};
  Socket socket(::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.fd() < 0) return file_error(text, "no socket", errno);
  if (connect(socket.fd(), reinterpret_cast<sockaddr*>(&address->storage), address->size) != 0) {
    return file_error(text, "can't be connected to", errno);
  }
  send_at_once(socket.fd());
  return socket;
}

Result<Socket> Socket::accept(int timeout_ms) const {
  if (!wait_for(fd_, POLLIN, timeout_ms)) return Socket();
  Socket socket(accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC));
  if (socket.fd() < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
    return file_error("a message server", "can't accept", errno);
  }
  if (socket.fd() >= 0) send_at_once(socket.fd());
  return socket;
}

Result<bool> Socket::send(const Frame& frame) const {
  const std::vector<char> packed = pack_frame(frame);
  for (uint64_t done = 0; done < packed.size();) {
    if (!wait_for(fd_, POLLOUT, kStall_ms)) return Error{"the peer takes nothing"};
    const ssize_t sent =
        ::send(fd_, packed.data() + done, packed.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (sent <= 0) return file_error("the peer", "is gone", errno);
    done += static_cast<uint64_t>(sent);
  }
  return true;
}

Result<bool> Socket::read_all(void* to, uint64_t size_bytes) const {
  for (uint64_t done = 0; done < size_bytes;) {
    if (!wait_for(fd_, POLLIN, kStall_ms)) return Error{"the peer stopped inside a frame"};
    const ssize_t got = recv(fd_, static_cast<char*>(to) + done, size_bytes - done, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error("the peer", "is gone", errno);
    if (got == 0) return Error{"the peer has closed the stream"};
    done += static_cast<uint64_t>(got);
  }
  return true;
}

Result<bool> Socket::receive(Frame* frame, int timeout_ms) const {
  if (!wait_for(fd_, POLLIN, timeout_ms)) return false;
  FrameHead head;
  Result<bool> read = read_all(&head, sizeof(head));
  if (!read) return read;
  const Result<uint64_t> size = body_size(head);
  if (!size) return Error{size.error()};
  std::vector<char> body(size.value());
  read = read_all(body.data(), body.size());
  if (!read) return read;
  Result<Frame> parsed = parse_frame(head, body);
  if (!parsed) return Error{parsed.error()};
  *frame = std::move(parsed.value());
  return true;
}

}  // namespace auxin::stm
