// SPDX-License-Identifier: Apache-2.0
#include "replication/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <new>
#include <utility>

#include "libmeta_os/descriptor_table.h"
#include "libmeta_os/guard.h"
#include "libmeta_os/private_memory.h"
#include "libmeta_os/real_calls.h"
#include "replication/activity.h"
#include "replication/decision.h"
#include "replication/divergence.h"
#include "replication/kill_points.h"
#include "replication/listener.h"
#include "replication/live_part.h"
#include "replication/log_writer.h"
#include "replication/rehearsal/rehearsal.h"
#include "replication/replica.h"
#include "replication/request_events.h"
#include "stmemu/check.h"

namespace auxin::replication {
namespace {

// The latest connection of each slot, and behind it those before it (older_): a replica that reads
// ahead knows of a slot's next connection before its server has closed, or even accepted, this one.
// Whoever makes one uses an object again whose connection the server has closed.
Connection* by_slot[kMaxConnections];
int slots_used = 0;  // by_slot is empty from here on
FutexLock making;

}  // namespace

Connection* Connection::find(uint64_t number) {
  Connection* connection = by_slot[number % kMaxConnections];
  while (connection != nullptr && connection->number_ != number) connection = connection->older_;
  return connection;
}

Connection* Connection::of(int fd) {
  return dynamic_cast<Connection*>(os::meta_socket(fd));
}

void Connection::for_each(void (*visit)(Connection&, void*), void* context) {
  for (Connection* latest : by_slot)
    for (Connection* each = latest; each != nullptr; each = each->older_) visit(*each, context);
}

void Connection::for_each_open(void (*visit)(Connection&, void*), void* context) {
  for (Connection* latest : by_slot)  // what is older was closed before its slot was used again
    if (latest != nullptr && !latest->closed_in_log_) visit(*latest, context);
}

Connection* Connection::make(uint64_t number, int slot) {
  FutexGuard guard(making);
  Connection** link = &by_slot[slot];
  while (*link != nullptr && !(*link)->over()) link = &(*link)->older_;
  Connection* made = *link;
  if (made != nullptr) {
    *link = made->older_;
    made->tracker_.reset();
    made->kept_bytes_.reset();
  } else {
    void* memory = os::map_private((sizeof(Connection) + 4095) / 4096 * 4096);
    CHECK(memory != nullptr, "no memory for a connection");
    made = static_cast<Connection*>(memory);
  }
  new (made) Connection();
  made->number_ = number;
  made->slot_ = slot;
  made->older_ = by_slot[slot];
  by_slot[slot] = made;
  slots_used = std::max(slots_used, slot + 1);
  return made;
}

ConnectionSlot& Connection::shared() { return replica->control().connections[slot_]; }
uint64_t Connection::cookie() const { return replica->control().connections[slot_].cookie.load(); }

// The server has closed it in this replica, and nothing here knows it any more.
bool Connection::over() const { return closed_here_ && fd_ < 0 && held_fd_ < 0; }

bool Connection::is_virtual() const { return !replica->leads(); }

// --- births ---

namespace {

// A slot that is free now, or will be when a follower has come to its connection's close.
uint64_t look_for_number(bool* waits) {
  GroupControl& control = replica->control();
  const uint64_t needed = needed_position();
  for (int tries = 0; tries < kMaxConnections; ++tries) {
    const uint64_t number = control.next_connection.fetch_add(1) + 1;
    const ConnectionSlot& slot = control.connections[number % kMaxConnections];
    const ConnectionState state = slot.state.load();
    if (state == ConnectionState::kOpen) continue;
    if (state == ConnectionState::kFree || slot.closed_position.load() < needed ||
        needed >= replica->log().end())
      return number;
    *waits = true;
  }
  return 0;
}

// A free slot's number: the slot is number % kMaxConnections. 0: all are open. May wait for
// followers, at most about the stall time.
uint64_t take_number() {
  for (;;) {
    bool waits = false;
    const uint64_t number = look_for_number(&waits);
    if (number != 0 || !waits) return number;
    tend_log();
    sleep_ns(200'000);
  }
}

}  // namespace

namespace {

// From here on the slot speaks of this connection. The number first: a connection is known by its
// entry in the log, so a slot whose number no entry has means nothing (is_logged).
ConnectionSlot& claim_slot(uint64_t number, int fd) {
  ConnectionSlot& slot = replica->control().connections[number % kMaxConnections];
  slot.number.store(number);
  slot.cookie.store(socket_cookie(fd));
  return slot;
}

}  // namespace

bool Connection::is_logged(uint64_t cookie) {
  for (const ConnectionSlot& slot : replica->control().connections)
    if (slot.cookie.load() == cookie && find(slot.number.load()) != nullptr) return true;
  return false;
}

void Connection::free_slots_not_logged() {
  for (ConnectionSlot& slot : replica->control().connections)
    if (slot.state.load() == ConnectionState::kOpen && find(slot.number.load()) == nullptr)
      slot.state.store(ConnectionState::kFree);
}

void Connection::publish_holder() {
  ConnectionSlot& slot = shared();
  slot.leader_fd.store(fd_ >= 0 ? fd_ : held_fd_);
  slot.holder_pid.store(replica->pid());
  slot.holder_keeper_pid.store(replica->slot().keeper_pid.load());
}

Connection* Connection::make_accepted(int fd, uint64_t listener, const sockaddr* peer,
                                      socklen_t peer_size) {
  const uint64_t number = take_number();
  if (number == 0) return nullptr;
  const int slot_index = static_cast<int>(number % kMaxConnections);
  Connection* made = make(number, slot_index);
  made->fd_ = fd;
  made->peer_size_ = std::min<socklen_t>(peer_size, sizeof made->peer_);
  memcpy(&made->peer_, peer, made->peer_size_);
  ConnectionSlot& slot = claim_slot(number, fd);
  made->publish_holder();
  slot.state.store(ConnectionState::kOpen);
  kill_point(KillPoint::kAfterAcceptClaimed);
  stm::LogEntry entry{};
  entry.kind = kAccept;
  entry.object = number;
  entry.number = listener << 32 | static_cast<uint64_t>(slot_index);
  append_with_payload(entry, peer, made->peer_size_);
  os::attach(fd, made);
  return made;
}

Connection* Connection::make_opened(int fd, const sockaddr* peer, socklen_t peer_size,
                                    bool in_progress) {
  const uint64_t number = take_number();
  if (number == 0) return nullptr;
  Connection* made = make(number, static_cast<int>(number % kMaxConnections));
  made->fd_ = fd;
  made->opened_here_ = true;
  made->connecting_ = in_progress;
  made->peer_size_ = std::min<socklen_t>(peer_size, sizeof made->peer_);
  memcpy(&made->peer_, peer, made->peer_size_);
  made->non_blocking_ = (os::real().fcntl(fd, F_GETFL, nullptr) & O_NONBLOCK) != 0;
  ConnectionSlot& slot = claim_slot(number, fd);
  made->publish_holder();
  slot.state.store(ConnectionState::kOpen);
  os::attach(fd, made);
  return made;
}

void Connection::log_adopted(int fd, uint64_t listener, const sockaddr* peer,
                             socklen_t peer_size) {
  const uint64_t number = take_number();
  if (number == 0) {
    raw_syscall(SYS_close, fd);
    return;
  }
  const uint64_t slot_index = number % kMaxConnections;
  ConnectionSlot& slot = claim_slot(number, fd);
  slot.leader_fd.store(fd);
  slot.holder_pid.store(replica->pid());
  slot.holder_keeper_pid.store(replica->slot().keeper_pid.load());
  slot.state.store(ConnectionState::kOpen);
  stm::LogEntry entry{};
  entry.kind = kAccept;
  entry.object = number;
  entry.number = listener << 32 | slot_index;
  append_with_payload(entry, peer, std::min<socklen_t>(peer_size, sizeof(sockaddr_storage)));
  // This process's pump finds the descriptor in the slot when it comes to the entry.
}

void Connection::accepted(uint64_t, const stm::LogEntry& entry) {
  Connection* made = make(entry.object, static_cast<int>(entry.number & 0xffffffff));
  made->peer_size_ = std::min<socklen_t>(entry.payload_size_bytes, sizeof made->peer_);
  memcpy(&made->peer_, replica->log().payload_at(entry.payload_offset), made->peer_size_);
  made->fetch();
}

void Connection::connected(uint64_t, const stm::LogEntry& entry) {
  if (entry.object == 0) return;  // it failed at once
  Connection* made = make(entry.object, static_cast<int>(entry.number & 0xffffffff));
  made->opened_here_ = true;
  made->connecting_ = entry.flags != 0;
  made->peer_size_ = std::min<socklen_t>(entry.payload_size_bytes, sizeof made->peer_);
  memcpy(&made->peer_, replica->log().payload_at(entry.payload_offset), made->peer_size_);
  made->fetch();
}

void Connection::fetch() {
  if (held_fd_ >= 0 || fd_ >= 0 || lost_ || rehearsing()) return;
  ConnectionSlot& slot = shared();
  if (slot.number.load() != number_ || slot.state.load() != ConnectionState::kOpen) return;
  const int from_fd = slot.leader_fd.load();
  if (slot.holder_pid.load() == replica->pid()) {
    held_fd_ = from_fd;  // adopted by this very process (log_adopted)
    return;
  }
  const int keeper = slot.holder_keeper_pid.load();
  for (const int pid : {slot.holder_pid.load(), keeper}) {
    if (pid <= 0) continue;
    const int copy = fetch_descriptor(pid, from_fd);
    if (copy < 0) continue;
    if (socket_cookie(copy) == slot.cookie.load()) {
      held_fd_ = copy;
      return;
    }
    raw_syscall(SYS_close, copy);
  }
}

bool Connection::table_is_steady() {
  if (!making.try_lock()) return false;
  making.unlock();
  return true;
}

bool Connection::fetch_again(int fd, bool close_on_exec) {
  if (fd != fd_ && fd != held_fd_) return false;
  const int taken = fd_;
  fd_ = held_fd_ = -1;
  fetch();
  int socket = held_fd_;
  if (socket < 0) {
    socket = os::real().socket(peer_.ss_family != 0 ? peer_.ss_family : AF_INET,
                               SOCK_STREAM | SOCK_CLOEXEC, 0);
    lost_ = true;
  }
  if (socket != fd) {
    os::real().dup3(socket, fd, O_CLOEXEC);
    os::real().close(socket);
  }
  if (!close_on_exec) raw_syscall(SYS_fcntl, fd, F_SETFD, 0);
  fd_ = taken;
  held_fd_ = taken == fd ? -1 : fd;
  return true;
}

int Connection::take_descriptor(int own_fd) {
  fetch();
  int fd = held_fd_;
  if (fd < 0) {
    // Nobody living has the socket any more: an unconnected one keeps its place, so that the server
    // sees a descriptor that behaves as a socket whose peer is gone.
    fd = os::real().socket(peer_.ss_family != 0 ? peer_.ss_family : AF_INET,
                           SOCK_STREAM | SOCK_CLOEXEC, 0);
    lost_ = true;
  }
  held_fd_ = -1;
  if (own_fd >= 0) {
    os::real().dup3(fd, own_fd, O_CLOEXEC);
    os::real().close(fd);
    fd = own_fd;
  }
  fd_ = fd;
  os::attach(fd, this);
  return fd;
}

// --- what the pump notes ---

void Connection::note_received(const stm::LogEntry& entry) {
  if (entry.kind == kReceive) in_logged_ = entry.number + entry.payload_size_bytes;
}

void Connection::note_send(uint64_t position, const stm::LogEntry& entry) {
  note_outcome_of_last_send(entry);
  last_send_ = position;
  last_send_offset_ = entry.number;
  last_send_size_ = entry.payload_size_bytes;
  last_send_payload_ = entry.payload_offset;
  last_send_non_blocking_ = (entry.flags & kSendNonBlocking) != 0;
  out_logged_ = entry.number + entry.payload_size_bytes;
  // Framing in log order; a promotion goes on from here.
  tracker_.sent(replica->log().payload_at(entry.payload_offset), entry.payload_size_bytes);
}

void Connection::note_event(const stm::LogEntry& entry) {
  if (entry.kind == kClose) {
    closed_in_log_ = true;
    if (entry.call != 0) note_outcome_of_last_send(entry);
    forget_kept_before(kNoPosition);
    if (closed_here_ && held_fd_ >= 0) {
      raw_syscall(SYS_close, held_fd_);
      held_fd_ = -1;
    }
  } else if (entry.number == SHUT_WR || entry.number == SHUT_RDWR) {
    write_shut_ = true;
  }
}

// --- the end ---

int Connection::shutdown(int fd, int how) {
  os::MetaLevel meta;
  replica->enter();
  const LivePart publishes;
  if (!publishes.leads()) {
    if (how == SHUT_RD || how == SHUT_RDWR) {
      FutexGuard guard(replay.lock());
      read_shut_ = true;
      replay.wake_locked(waiters_);
      if (take_polled()) replay.wake_pollers_locked();
    }
    return 0;
  }
  if (how != SHUT_RD) flush_before_end();
  stm::LogEntry entry{};
  entry.kind = kShutdown;
  entry.object = number_;
  entry.number = static_cast<uint64_t>(how);
  append(entry);
  if (how != SHUT_RD) write_shut_ = true;
  return lost_ ? 0 : os::real().shutdown(fd, how);
}

int Connection::close(int fd, bool last) {
  os::MetaLevel meta;
  if (!last) {
    if (fd == fd_) fd_ = -1;  // another number of the same socket stays: found again when needed
    return os::real().close(fd);
  }
  replica->enter();
  const LivePart publishes;
  if (!publishes.leads()) {
    FutexGuard guard(replay.lock());
    closed_here_ = true;
    while (!queue_.empty()) {
      const uint64_t position = queue_.head;
      replay.pop_locked(queue_);
      replay.consumed_locked(position);
    }
    if (!closed_in_log_ && !lost_) {
      // The leader has not closed it (yet): keep the duplicate for a takeover.
      held_fd_ = os::real().fcntl(fd, F_DUPFD_CLOEXEC, reinterpret_cast<void*>(3));
    }
    fd_ = -1;
    return os::real().close(fd);
  }
  flush_before_end();
  kill_point(KillPoint::kBeforeClose);
  stm::LogEntry entry{};
  entry.kind = kClose;
  entry.object = number_;
  if (send_lock_.try_lock()) {
    entry.number = out_logged_;
    entry.flags = static_cast<uint8_t>(last_send_error_ << kPreviousErrorShift);
    entry.call = 1;
    send_lock_.unlock();
  }
  const uint64_t position = append(entry);
  kill_point(KillPoint::kAfterCloseLogged);
  closed_in_log_ = true;
  closed_here_ = true;
  fd_ = -1;
  ConnectionSlot& slot = shared();
  if (slot.number.load() == number_) {
    slot.closed_position.store(position);
    slot.state.store(ConnectionState::kClosed);
  }
  if (!lost_) os::real().shutdown(fd, SHUT_RDWR);  // duplicates elsewhere would keep it open
  const int result = os::real().close(fd);
  kill_point(KillPoint::kAfterClose);
  return result;
}

// --- the rest ---

int Connection::accept(int fd, sockaddr* address, socklen_t* length, int flags, os::CallSite) {
  return os::real().accept4(fd, address, length, flags);
}

int Connection::fcntl(int fd, int command, long argument) {
  if (command == F_SETFL) {
    non_blocking_ = (argument & O_NONBLOCK) != 0;
    if (is_virtual()) return 0;
  }
  const int result = os::real().fcntl(fd, command, reinterpret_cast<void*>(argument));
  if (command == F_GETFL && result >= 0)
    return non_blocking_ ? result | O_NONBLOCK : result & ~O_NONBLOCK;
  return result;
}

int Connection::ioctl(int fd, unsigned long request, void* argument) {
  if (request == FIONBIO) {
    non_blocking_ = *static_cast<int*>(argument) != 0;
    if (is_virtual()) return 0;
  }
  if (request == FIONREAD && is_virtual()) {
    FutexGuard guard(replay.lock());
    int size = 0;
    if (!queue_.empty() && replay.deliverable(queue_.head)) {
      const stm::LogEntry entry = replay.entry_at(queue_.head);
      if (entry.kind == kReceive) size = static_cast<int>(entry.payload_size_bytes - head_taken_);
    }
    *static_cast<int*>(argument) = size;
    return 0;
  }
  return os::real().ioctl(fd, request, argument);
}

int Connection::setsockopt(int fd, int level, int name, const void* value, socklen_t length) {
  return is_virtual() ? 0 : os::real().setsockopt(fd, level, name, value, length);
}

// What came of a connect that was in progress: 0, or why there is no connection. One decision.
int Connection::connect_error(int fd) {
  os::MetaLevel meta;
  Decision decision(os::CallSite{});
  stm::LogEntry logged;
  int error = 0;
  const auto ask = [&] {
    socklen_t size = sizeof error;
    os::real().getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    sockaddr_storage peer;
    size = sizeof peer;
    if (error == 0 && os::real().getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0)
      error = errno;
    if (error == 0) connecting_ = false;
    return error;
  };
  if (!decision.named()) return ask();
  while (!decision.replay(&logged)) {
    if (!decision.begin_logging()) continue;
    decision.log_value(ValueForm::kConnected, static_cast<uint64_t>(ask()), 0, 0);
    return error;
  }
  decision.expect(logged, ValueForm::kConnected);
  decision.done();
  error = static_cast<int>(logged.object);
  if (error == 0) connecting_ = false;
  return error;
}

int Connection::getsockopt(int fd, int level, int name, void* value, socklen_t* length) {
  if (connecting_ && level == SOL_SOCKET && name == SO_ERROR && *length >= sizeof(int)) {
    const int error = connect_error(fd);
    *static_cast<int*>(value) = error == ENOTCONN ? 0 : error;
    *length = sizeof(int);
    return 0;
  }
  if (is_virtual() && level == SOL_SOCKET && name == SO_ERROR && *length >= sizeof(int)) {
    *static_cast<int*>(value) = 0;
    *length = sizeof(int);
    return 0;
  }
  return os::real().getsockopt(fd, level, name, value, length);
}

int Connection::getpeername(int fd, sockaddr* address, socklen_t* length) {
  if (connecting_ && connect_error(fd) != 0) {
    errno = ENOTCONN;
    return -1;
  }
  memcpy(address, &peer_, std::min(*length, peer_size_));
  *length = peer_size_;
  return 0;
}

int Connection::getsockname(int fd, sockaddr* address, socklen_t* length) {
  return os::real().getsockname(fd, address, length);
}

short Connection::readiness_locked(short events, bool* undeliverable) {
  short ready = events & (POLLOUT | POLLWRNORM);
  const bool end = at_end_ || closed_in_log_ || read_shut_;
  if (!queue_.empty()) {
    if (replay.deliverable(queue_.head)) {
      ready |= events & (POLLIN | POLLRDNORM);
    } else {
      *undeliverable = true;
    }
  } else if (end) {
    ready |= events & (POLLIN | POLLRDNORM);
  }
  return ready;
}

bool Connection::unread_locked() {
  const uint64_t head = queue_.head;
  const uint64_t seen = std::exchange(unread_head_, head);
  return head != kNoPosition && head == seen && readers_ == 0 && replay.deliverable(head);
}

bool Connection::some_unread_locked() {
  bool found = false;
  for (int slot = 0; slot < slots_used; ++slot)
    for (Connection* each = by_slot[slot]; each != nullptr; each = each->older_)
      if (each->unread_locked()) found = true;
  return found;
}

short Connection::readiness(short events) {
  FutexGuard guard(replay.lock());
  bool undeliverable = false;
  return readiness_locked(events, &undeliverable);
}

}  // namespace auxin::replication
