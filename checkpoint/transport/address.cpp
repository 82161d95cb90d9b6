// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/transport/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstddef>
#include <cstring>

namespace auxin::checkpoint {
namespace {

Outcome wrong(const std::string& text, const char* why) {
  return failure(AUXIN_CHECKPOINT_WRONG_CALL,
                 text + ": " + why + "; an address is unix:PATH or tcp:HOST:PORT");
}

bool parse_port(const std::string& text, uint16_t* port) {
  if (text.empty() || text.size() > 5) return false;
  uint32_t number = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return false;
    number = number * 10 + static_cast<uint32_t>(digit - '0');
  }
  *port = static_cast<uint16_t>(number);
  return number <= UINT16_MAX;
}

Expected<Address> parse_tcp(const std::string& text) {
  Address address;
  address.text = text;
  const size_t colon = text.rfind(':');
  uint16_t port = 0;
  if (colon <= 4 || !parse_port(text.substr(colon + 1), &port)) return wrong(text, "no port");
  std::string host = text.substr(4, colon - 4);
  if (host == "localhost") host = "127.0.0.1";
  sockaddr_in four{};
  sockaddr_in6 six{};
  if (inet_pton(AF_INET, host.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    address.socket_bytes = sizeof(four);
    std::memcpy(&address.socket, &four, sizeof(four));
    return address;
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']' &&
      inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &six.sin6_addr) == 1) {
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    address.socket_bytes = sizeof(six);
    std::memcpy(&address.socket, &six, sizeof(six));
    return address;
  }
  return wrong(text, "the host is no address in numbers");
}

}  // namespace

Expected<Address> Address::parse(const std::string& text) {
  if (text.compare(0, 4, "tcp:") == 0) return parse_tcp(text);
  if (text.compare(0, 5, "unix:") != 0) return wrong(text, "neither unix: nor tcp:");
  Address address;
  address.text = text;
  address.path = text.substr(5);
  sockaddr_un local{};
  if (address.path.empty() || address.path.size() >= sizeof(local.sun_path)) {
    return wrong(text, "the path is empty or too long for a socket");
  }
  local.sun_family = AF_UNIX;
  std::memcpy(local.sun_path, address.path.c_str(), address.path.size() + 1);
  address.socket_bytes =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.path.size() + 1);
  std::memcpy(&address.socket, &local, sizeof(local));
  return address;
}

bool Address::is_local() const {
  if (is_unix()) return true;
  if (socket.ss_family == AF_INET) {
    sockaddr_in four;
    std::memcpy(&four, &socket, sizeof(four));
    return ntohl(four.sin_addr.s_addr) >> 24 == 127;
  }
  sockaddr_in6 six;
  std::memcpy(&six, &socket, sizeof(six));
  return IN6_IS_ADDR_LOOPBACK(&six.sin6_addr);
}

std::string bound_address(int fd, const Address& asked) {
  if (asked.is_unix()) return asked.text;
  sockaddr_storage bound{};
  socklen_t bytes = sizeof(bound);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &bytes) != 0) return asked.text;
  const size_t colon = asked.text.rfind(':');
  uint16_t port = 0;  // at the same place in both families
  std::memcpy(&port, reinterpret_cast<const char*>(&bound) + offsetof(sockaddr_in, sin_port),
              sizeof(port));
  return asked.text.substr(0, colon + 1) + std::to_string(ntohs(port));
}

}  // namespace auxin::checkpoint
