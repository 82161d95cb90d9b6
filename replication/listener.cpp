// SPDX-License-Identifier: Apache-2.0
#include "replication/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <new>

#include "libmeta_os/descriptor_table.h"
#include "libmeta_os/guard.h"
#include "libmeta_os/real_calls.h"
#include "replication/connection.h"
#include "replication/decision.h"
#include "replication/divergence.h"
#include "replication/kernel_socket.h"
#include "replication/kill_points.h"
#include "replication/live_part.h"
#include "replication/rehearsal/rehearsal.h"
#include "replication/replica.h"

namespace auxin::replication {
namespace {

alignas(Listener) char storage[kMaxListeners + 1][sizeof(Listener)];
Listener* listeners[kMaxListeners + 1];

ListenerSlot& slot_of(uint64_t number) { return replica->control().listeners[number - 1]; }

constexpr uint64_t kFetchPatienceNs = 2'000'000'000;

}  // namespace

Listener* Listener::find(uint64_t number) {
  return number >= 1 && number <= kMaxListeners ? listeners[number] : nullptr;
}

Listener* Listener::make(uint64_t number) {
  if (number < 1 || number > kMaxListeners)
    replica->leave_group(Role::kDead, "more listening sockets than Auxin can replicate (32)");
  if (listeners[number] == nullptr) {
    Listener* made = new (storage[number]) Listener();
    made->number_ = number;
    listeners[number] = made;
  }
  return listeners[number];
}

void Listener::for_each(void (*visit)(Listener&, void*), void* context) {
  for (Listener* listener : listeners)
    if (listener != nullptr) visit(*listener, context);
}

void Listener::announced(uint64_t, const stm::LogEntry& entry) {
  if (entry.flags == 0) make(entry.object);  // else the bind failed in the leader
}

int Listener::bind(int fd, const sockaddr* address, socklen_t length, os::CallSite site) {
  // It may have been made so; from here on its changes are seen.
  const bool non_blocking = (os::real().fcntl(fd, F_GETFL, nullptr) & O_NONBLOCK) != 0;
  Decision decision(site);
  stm::LogEntry logged;
  while (!decision.replay(&logged)) {
    if (!decision.begin_logging()) continue;
    const int result = os::real().bind(fd, address, length);
    const int error = errno;
    uint64_t number = 0;
    sockaddr_storage bound{};
    socklen_t bound_size = sizeof bound;
    if (result == 0) {
      for (int i = 0; i < kMaxListeners && number == 0; ++i)
        if (replica->control().listeners[i].number.load() == 0) number = i + 1;
      Listener* listener = make(number);
      listener->fd_ = fd;
      listener->non_blocking_ = non_blocking;
      os::real().getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &bound_size);
      ListenerSlot& slot = slot_of(number);
      memcpy(&slot.address, &bound, sizeof bound);
      slot.address_size_bytes = bound_size;
      slot.cookie.store(socket_cookie(fd));
      for (auto& other : slot.fd) other.store(-1);
      slot.fd[replica->id()].store(fd);
      slot.number.store(number);
      os::attach(fd, listener);
    }
    decision.log_listener(number, &bound, result == 0 ? bound_size : 0,
                          result == 0 ? 0 : error);
    errno = error;
    return result;
  }
  if (logged.kind != kListener)
    diverge("the leader did not bind a socket here (its entry is of kind %u)", logged.kind);
  decision.done();
  if (logged.flags != 0) {
    errno = logged.flags;
    return -1;
  }
  Listener* listener = make(logged.object);
  listener->fd_ = fd;
  listener->non_blocking_ = non_blocking;
  if (rehearsing()) {
    os::attach(fd, listener);  // no client comes, and the address may be somebody else's by now
    return 0;
  }
  listener->take_over_or_bind(fd);
  os::attach(fd, listener);
  return 0;
}

// `fd` is a socket of the right kind.
void Listener::take_over_or_bind(int fd) {
  ListenerSlot& slot = slot_of(number_);
  const uint64_t deadline = monotonic_ns() + kFetchPatienceNs;
  while (!take_over_socket(fd)) {
    // No living process has it (the whole group was down): bind the same address again.
    const int one = 1;
    os::real().setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (os::real().bind(fd, reinterpret_cast<sockaddr*>(&slot.address),
                        slot.address_size_bytes) == 0) {
      slot.cookie.store(socket_cookie(fd));
      break;
    }
    // Another replica that begins just now may have been quicker: its socket is to be had soon.
    if (monotonic_ns() > deadline)
      replica->leave_group(Role::kDead,
                           "the group's address is in use by another program: end that program, or "
                           "start the group with --fresh and another port");
    sleep_ns(1'000'000);
  }
  slot.fd[replica->id()].store(fd);
}

void Listener::fetch_again(bool close_on_exec, bool listens) {
  const int made = os::real().socket(slot_of(number_).address.ss_family,
                                     SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made != fd_) {
    os::real().dup3(made, fd_, O_CLOEXEC);
    os::real().close(made);
  }
  if (!close_on_exec) raw_syscall(SYS_fcntl, fd_, F_SETFD, 0);
  take_over_or_bind(fd_);
  if (listens) os::real().listen(fd_, SOMAXCONN);  // once more where it was taken over: harmless
}

// Puts the group's socket under the number `fd`. False: nobody living has it.
bool Listener::take_over_socket(int fd) {
  ListenerSlot& slot = slot_of(number_);
  const uint64_t deadline = monotonic_ns() + kFetchPatienceNs;
  do {
    bool someone = false;
    for (int id = 0; id < kMaxReplicas; ++id) {
      const ReplicaSlot& other = replica->control().replicas[id];
      const int other_fd = slot.fd[id].load();
      if (other_fd < 0) continue;
      for (const int pid : {other.pid.load(), other.keeper_pid.load()}) {
        if (pid == 0 || pid == replica->pid()) continue;  // the keeper of a dead one may be its own
        const int copy = fetch_descriptor(pid, other_fd);
        if (copy < 0) continue;
        if (socket_cookie(copy) == slot.cookie.load()) {
          const int flags = os::real().fcntl(fd, F_GETFD, nullptr);
          os::real().dup3(copy, fd, (flags & FD_CLOEXEC) ? O_CLOEXEC : 0);
          os::real().close(copy);
          return true;
        }
        os::real().close(copy);
        someone = true;
      }
    }
    if (!someone) return false;
    sleep_ns(1'000'000);
  } while (monotonic_ns() < deadline);
  return false;
}

int Listener::listen(int fd, int backlog) {
  if (rehearsing()) return 0;
  const int result = os::real().listen(fd, backlog);
  const int error = errno;
  if (result == 0) replica->slot().ready.store(replica->leads() ? 1 : replica->slot().ready.load());
  errno = error;
  return result;
}

bool Listener::is_virtual() const { return !replica->leads(); }

// --- accept ---

bool Listener::accept_live(int fd, sockaddr* address, socklen_t* length, int flags, int* result) {
  replica->enter();
  sockaddr_storage peer{};
  socklen_t peer_size = sizeof peer;
  const LivePart waits(LiveState::kWaits);
  if (!waits.leads()) return false;
  const int made = os::real().accept4(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size, flags);
  const LivePart publishes;
  if (!publishes.leads()) return false;
  *result = made;
  if (made < 0) return true;
  kill_point(KillPoint::kAfterAccept);
  Connection* connection =
      Connection::make_accepted(made, number_, reinterpret_cast<sockaddr*>(&peer), peer_size);
  if (connection != nullptr) connection->set_non_blocking((flags & SOCK_NONBLOCK) != 0);
  if (connection == nullptr) {
    note_unsupported("more than 4096 connections at once: further ones are closed at once");
    os::real().close(made);
    errno = ECONNABORTED;
    *result = -1;
    return true;
  }
  if (address != nullptr && length != nullptr) {
    memcpy(address, &peer, *length < peer_size ? *length : peer_size);
    *length = peer_size;
  }
  kill_point(KillPoint::kAfterAcceptLogged);
  return true;
}

int Listener::accept_replayed(sockaddr* address, socklen_t* length, int flags, bool* live) {
  *live = false;
  Replay& r = replay;
  r.lock().lock();
  for (;;) {
    if (!queue_.empty() && r.acceptable(queue_.head)) {
      const uint64_t position = queue_.head;
      r.pop_locked(queue_);
      const stm::LogEntry entry = r.entry_at(position);
      Connection* connection = Connection::find(entry.object);
      r.consumed_locked(position);
      r.lock().unlock();
      if (connection == nullptr) diverge("an accepted connection is unknown here");
      const int fd = connection->take_descriptor(-1);
      connection->set_non_blocking((flags & SOCK_NONBLOCK) != 0);
      if ((flags & SOCK_CLOEXEC) == 0) os::real().fcntl(fd, F_SETFD, nullptr);
      if (address != nullptr && length != nullptr) connection->getpeername(fd, address, length);
      return fd;
    }
    if (replica->leads()) {
      *live = true;
      r.lock().unlock();
      return -1;
    }
    if (non_blocking_) {
      r.lock().unlock();
      errno = EAGAIN;
      return -1;
    }
    if (queue_.empty()) {
      r.wait_locked(waiters_, 0);
    } else {
      r.wait_acceptable_locked();
    }
  }
}

int Listener::accept(int fd, sockaddr* address, socklen_t* length, int flags, os::CallSite) {
  os::MetaLevel meta;
  replica->enter();
  for (;;) {
    int result = -1;
    bool live = replica->leads();
    if (!live) result = accept_replayed(address, length, flags, &live);
    if (!live || accept_live(fd, address, length, flags, &result)) return result;
  }
}

short Listener::readiness_locked(short events) {
  return !queue_.empty() && replay.acceptable(queue_.head)
             ? static_cast<short>(events & (POLLIN | POLLRDNORM))
             : 0;
}

short Listener::readiness(short events) {
  FutexGuard guard(replay.lock());
  return readiness_locked(events);
}

// --- the rest: what the sockets of all replicas share is the leader's to change ---

ssize_t Listener::receive(int fd, msghdr* message, int flags, os::CallSite) {
  return os::real().recvmsg(fd, message, flags);
}
ssize_t Listener::send(int fd, const msghdr* message, int flags, os::CallSite) {
  return os::real().sendmsg(fd, message, flags);
}
int Listener::shutdown(int fd, int how) {
  return is_virtual() ? 0 : os::real().shutdown(fd, how);
}
int Listener::close(int fd, bool last) {
  if (last) {
    closed_ = true;
    fd_ = -1;
    slot_of(number_).fd[replica->id()].store(-1);
  }
  return os::real().close(fd);
}
int Listener::fcntl(int fd, int command, long argument) {
  if (command == F_SETFL) {
    non_blocking_ = (argument & O_NONBLOCK) != 0;
    if (is_virtual()) return 0;
  }
  const int result = os::real().fcntl(fd, command, reinterpret_cast<void*>(argument));
  if (command == F_GETFL && result >= 0)
    return non_blocking_ ? result | O_NONBLOCK : result & ~O_NONBLOCK;
  return result;
}
int Listener::ioctl(int fd, unsigned long request, void* argument) {
  if (request == FIONBIO) {
    non_blocking_ = *static_cast<int*>(argument) != 0;
    if (is_virtual()) return 0;
  }
  return os::real().ioctl(fd, request, argument);
}
int Listener::setsockopt(int fd, int level, int name, const void* value, socklen_t length) {
  return is_virtual() ? 0 : os::real().setsockopt(fd, level, name, value, length);
}
int Listener::getsockopt(int fd, int level, int name, void* value, socklen_t* length) {
  return os::real().getsockopt(fd, level, name, value, length);
}
int Listener::getpeername(int fd, sockaddr* address, socklen_t* length) {
  return os::real().getpeername(fd, address, length);
}
int Listener::getsockname(int fd, sockaddr* address, socklen_t* length) {
  if (rehearsing()) {
    const ListenerSlot& slot = slot_of(number_);
    memcpy(address, &slot.address, std::min(*length, slot.address_size_bytes));
    *length = slot.address_size_bytes;
    return 0;
  }
  return os::real().getsockname(fd, address, length);
}

void Listener::publish_holders() {
  for_each([](Listener& listener, void*) {
    if (listener.fd_ >= 0) slot_of(listener.number_).fd[replica->id()].store(listener.fd_);
  }, nullptr);
}

}  // namespace auxin::replication
