// SPDX-License-Identifier: Apache-2.0
#include "local_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <utility>

namespace server_group {
namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

Socket new_socket() { return Socket(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

}  // namespace

Socket::Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

Socket::~Socket() {
  if (descriptor_ >= 0) close(descriptor_);
}

Socket Socket::listening_at(const std::string& path) {
  const sockaddr_un address = address_of(path);
  Socket made = new_socket();
  unlink(path.c_str());
  if (bind(made.descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(made.descriptor_, 32) != 0) {
    return Socket();
  }
  return made;
}

Socket Socket::connected_to(const std::string& path) {
  const sockaddr_un address = address_of(path);
  Socket made = new_socket();
  if (connect(made.descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
      0) {
    return Socket();
  }
  return made;
}

Socket Socket::accept() const {
  return Socket(accept4(descriptor_, nullptr, nullptr, SOCK_CLOEXEC));
}

void Socket::limit_ms(int limit) const {
  const timeval time{limit / 1000, (limit % 1000) * 1000};
  setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
  setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
}

bool Socket::send_bytes(const void* bytes, size_t size_bytes) const {
  const char* at = static_cast<const char*>(bytes);
  while (size_bytes != 0) {
    const ssize_t put = ::send(descriptor_, at, size_bytes, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    at += put;
    size_bytes -= static_cast<size_t>(put);
  }
  return true;
}

bool Socket::receive_bytes(void* bytes, size_t size_bytes) const {
  char* at = static_cast<char*>(bytes);
  while (size_bytes != 0) {
    const ssize_t got = recv(descriptor_, at, size_bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    size_bytes -= static_cast<size_t>(got);
  }
  return true;
}

}  // namespace server_group
