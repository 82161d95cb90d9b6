// SPDX-License-Identifier: Apache-2.0
//
// Connections that a dead leader had accepted and not yet published: its keeper still holds their
// descriptors, so they are found there and logged as accepted (DESIGN 4.5, the gap at accept).
#include <netinet/in.h>
#include <string.h>

#include "libmeta_os/real_calls.h"
#include "replication/connection.h"
#include "replication/futex.h"
#include "replication/kernel_socket.h"
#include "replication/listener.h"
#include "replication/log_writer.h"
#include "replication/numbered_entries.h"
#include "replication/replica.h"

namespace auxin::replication {
namespace {

uint16_t port_of(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) return reinterpret_cast<const sockaddr_in&>(address).sin_port;
  if (address.ss_family == AF_INET6)
    return reinterpret_cast<const sockaddr_in6&>(address).sin6_port;
  return 0;
}

// The listener on whose port the connected socket stands; 0: none.
uint64_t listener_of(int fd) {
  sockaddr_storage local{};
  socklen_t size = sizeof local;
  int listening = 0;
  socklen_t option_size = sizeof listening;
  if (os::real().getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &option_size) != 0 ||
      listening != 0 || os::real().getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) != 0)
    return 0;
  for (const ListenerSlot& slot : replica->control().listeners) {
    if (slot.number.load() == 0 || slot.address.ss_family != local.ss_family) continue;
    if (port_of(slot.address) != 0 && port_of(slot.address) == port_of(local))
      return slot.number.load();
  }
  return 0;
}

void adopt(int fd) {
  const uint64_t cookie = socket_cookie(fd);
  const uint64_t listener = cookie != 0 && !Connection::is_logged(cookie) ? listener_of(fd) : 0;
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  if (listener == 0 || os::real().getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) {
    os::real().close(fd);
    return;
  }
  Connection::log_adopted(fd, listener, reinterpret_cast<sockaddr*>(&peer), size);
}

}  // namespace

void Listener::adopt_orphans(int keeper_pid) {
  if (keeper_pid <= 0) return;
  char path[32] = "/proc/";
  char digits[12];
  int count = 0;
  for (int rest = keeper_pid; rest > 0; rest /= 10)
    digits[count++] = static_cast<char>('0' + rest % 10);
  char* at = path + 6;
  while (count > 0) *at++ = digits[--count];
  memcpy(at, "/fd", 4);
  for_each_numbered_entry(path, [keeper_pid](int number) {
    const int copy = fetch_descriptor(keeper_pid, number);
    if (copy >= 0) adopt(copy);
  });
}

}  // namespace auxin::replication
