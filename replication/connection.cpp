// SPDX-License-Identifier: Apache-2.0
#include "replication/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "libmeta_os/descriptor_table.h"
#include "libmeta_os/guard.h"
#include "libmeta_os/real_calls.h"
#include "replication/divergence.h"
#include "replication/activity.h"
#include "replication/kill_points.h"
#include "replication/listener.h"
#include "replication/log_writer.h"
#include "replication/replica.h"
#include "replication/request_events.h"
#include "stmemu/check.h"

namespace auxin::replication {
namespace {

// Objects are made when first needed and used again for later connections of the same slot once
// the server has closed the earlier one; by_slot names the latest.
Connection* by_slot[kMaxConnections];
Connection* spare = nullptr;  // under the replay lock
FutexLock spare_lock;

}  // namespace

Connection* Connection::find(uint64_t number) {
  Connection* connection = by_slot[number % kMaxConnections];
  return connection != nullptr && connection->number_ == number ? connection : nullptr;
}

Connection* Connection::at(int slot) { return by_slot[slot]; }

Connection* Connection::of(int fd) {
  return dynamic_cast<Connection*>(os::meta_socket(fd));
}

void Connection::for_each_open(void (*visit)(Connection&, void*), void* context) {
  for (Connection* connection : by_slot)
    if (connection != nullptr && connection->number_ != 0 && !connection->closed_in_log_)
      visit(*connection, context);
}

Connection* Connection::make(uint64_t number, int slot) {
  FutexGuard guard(spare_lock);
  Connection* made = by_slot[slot];
  if (made != nullptr && (made->fd_ >= 0 || made->held_fd_ >= 0)) made = nullptr;
  if (made == nullptr && spare != nullptr) {
    made = spare;
    spare = made->next_free_;
  }
  if (made == nullptr) {
    void* memory = mmap(nullptr, (sizeof(Connection) + 4095) / 4096 * 4096, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED, "no memory for a connection");
    made = static_cast<Connection*>(memory);
  } else {
    made->tracker_.reset();
  }
  new (made) Connection();
  made->number_ = number;
  made->slot_ = slot;
  by_slot[slot] = made;
  return made;
}

ConnectionSlot& Connection::shared() { return replica->control().connections[slot_]; }
uint64_t Connection::cookie() const { return replica->control().connections[slot_].cookie.load(); }

bool Connection::is_virtual() const { return !replica->leads(); }

// --- births ---

namespace {

// A free slot's number: the slot is number % kMaxConnections. 0: none.
uint64_t take_number() {
  GroupControl& control = replica->control();
  const uint64_t needed = needed_position();
  for (int tries = 0; tries < kMaxConnections; ++tries) {
    const uint64_t number = control.next_connection.fetch_add(1) + 1;
    ConnectionSlot& slot = control.connections[number % kMaxConnections];
    ConnectionState state = slot.state.load();
    if (state == ConnectionState::kOpen) continue;
    if (state == ConnectionState::kClosed && slot.closed_position.load() >= needed &&
        needed < replica->log().end())
      continue;  // a follower has not come to its close yet
    return number;
  }
  return 0;
}

}  // namespace

void Connection::publish_holder() {
  ConnectionSlot& slot = shared();
  slot.leader_fd.store(fd_ >= 0 ? fd_ : held_fd_);
  slot.holder_pid.store(replica->pid());
  slot.holder_keeper_pid.store(replica->slot().keeper_pid.load());
  slot.number.store(number_);
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
  ConnectionSlot& slot = made->shared();
  slot.cookie.store(socket_cookie(fd));
  made->publish_holder();
  slot.state.store(ConnectionState::kOpen);
  stm::LogEntry entry{};
  entry.kind = kAccept;
  entry.object = number;
  entry.number = listener << 32 | static_cast<uint64_t>(slot_index);
  append_with_payload(entry, peer, made->peer_size_);
  os::attach(fd, made);
  return made;
}

Connection* Connection::make_opened(int fd, const sockaddr* peer, socklen_t peer_size, int,
                                    os::CallSite) {
  const uint64_t number = take_number();
  if (number == 0) return nullptr;
  Connection* made = make(number, static_cast<int>(number % kMaxConnections));
  made->fd_ = fd;
  made->opened_here_ = true;
  made->peer_size_ = std::min<socklen_t>(peer_size, sizeof made->peer_);
  memcpy(&made->peer_, peer, made->peer_size_);
  made->non_blocking_ = (os::real().fcntl(fd, F_GETFL, nullptr) & O_NONBLOCK) != 0;
  ConnectionSlot& slot = made->shared();
  slot.cookie.store(socket_cookie(fd));
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
  ConnectionSlot& slot = replica->control().connections[slot_index];
  slot.cookie.store(socket_cookie(fd));
  slot.leader_fd.store(fd);
  slot.holder_pid.store(replica->pid());
  slot.holder_keeper_pid.store(replica->slot().keeper_pid.load());
  slot.number.store(number);
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
  if (entry.object == 0) return;  // the connect failed
  Connection* made = make(entry.object, static_cast<int>(entry.number & 0xffffffff));
  made->opened_here_ = true;
  made->peer_size_ = std::min<socklen_t>(entry.payload_size_bytes, sizeof made->peer_);
  memcpy(&made->peer_, replica->log().payload_at(entry.payload_offset), made->peer_size_);
  made->fetch();
}

void Connection::fetch() {
  if (held_fd_ >= 0 || fd_ >= 0 || lost_) return;
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
    if (closed_here_ && held_fd_ >= 0) {
      raw_syscall(SYS_close, held_fd_);
      held_fd_ = -1;
    }
  } else if (entry.number == SHUT_WR || entry.number == SHUT_RDWR) {
    write_shut_ = true;
  }
}

// --- receiving ---

// Feeds the framing with bytes that the server is given, and raises the reception events.
void Connection::track(const char* data, size_t size) {
  if (meta_object == nullptr) {
    tracker_.received(data, size, nullptr);
    return;
  }
  const req::RequestTracker::Events events{
      this,
      [](void* self, uint32_t id, uint32_t ordinal) {
        meta_object->receptionStart(
            RequestId{static_cast<Connection*>(self)->number_, id, ordinal});
      },
      [](void* self, uint32_t id, uint32_t ordinal) {
        meta_object->requestHasBeenReceived(
            RequestId{static_cast<Connection*>(self)->number_, id, ordinal});
      }};
  tracker_.received(data, size, &events);
}

void Connection::log_receive(const char* data, size_t size) {
  stm::LogEntry entry{};
  entry.kind = kReceive;
  entry.object = number_;
  entry.number = in_logged_;
  append_with_payload(entry, data, size);
  in_logged_ += size;
}

// Copies to the caller's vectors; returns the bytes copied.
ssize_t Connection::deliver(const msghdr* message, const char* data, size_t size) {
  size_t done = 0;
  for (size_t i = 0; i < message->msg_iovlen && done < size; ++i) {
    const size_t part = std::min(message->msg_iov[i].iov_len, size - done);
    memcpy(message->msg_iov[i].iov_base, data + done, part);
    done += part;
  }
  return static_cast<ssize_t>(done);
}

namespace {

size_t total_size(const msghdr* message) {
  size_t size = 0;
  for (size_t i = 0; i < message->msg_iovlen; ++i) size += message->msg_iov[i].iov_len;
  return size;
}

void no_ancillary(msghdr* message) {
  message->msg_controllen = 0;
  message->msg_namelen = 0;
  message->msg_flags = 0;
}

}  // namespace

ssize_t Connection::receive_live(int fd, msghdr* message, int flags) {
  replica->enter();
  if ((flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE)) != 0)
    return os::real().recvmsg(fd, message, flags);
  hold_back_for_followers();
  const size_t wanted = total_size(message);
  if (wanted == 0) return os::real().recvmsg(fd, message, flags);
  size_t got = 0;
  FutexGuard guard(receive_lock_);
  // A ReceiveEnd of the log was met while this replica followed: it holds for ever.
  if (at_end_) {
    errno = end_error_;
    return end_error_ != 0 ? -1 : 0;
  }
  char* landing = replica->landing(slot_);
  for (;;) {
    kill_point(KillPoint::kBeforeReceive);
    const size_t room = std::min<size_t>(wanted - got, kLandingSizeBytes);
    const ssize_t size = os::real().recv(fd, landing, room, flags & ~MSG_WAITALL);
    const int error = errno;
    if (size > 0) {
      kill_point(KillPoint::kAfterReceive);
      log_receive(landing, static_cast<size_t>(size));
      kill_point(KillPoint::kAfterReceiveLogged);
      track(landing, static_cast<size_t>(size));
      // With one vector or the first piece, as a plain recv fills; later pieces only for WAITALL.
      size_t skip = got;
      size_t copied = 0;
      for (size_t i = 0; i < message->msg_iovlen && copied < static_cast<size_t>(size); ++i) {
        const iovec& part = message->msg_iov[i];
        if (skip >= part.iov_len) {
          skip -= part.iov_len;
          continue;
        }
        const size_t count = std::min(part.iov_len - skip, static_cast<size_t>(size) - copied);
        memcpy(static_cast<char*>(part.iov_base) + skip, landing + copied, count);
        copied += count;
        skip = 0;
      }
      got += static_cast<size_t>(size);
      if ((flags & MSG_WAITALL) != 0 && got < wanted) continue;
      no_ancillary(message);
      return static_cast<ssize_t>(got);
    }
    if (got > 0) return static_cast<ssize_t>(got);
    if (size == 0 || (error != EAGAIN && error != EINTR && error != EWOULDBLOCK)) {
      stm::LogEntry entry{};
      entry.kind = kReceiveEnd;
      entry.object = number_;
      entry.number = size == 0 ? 0 : static_cast<uint64_t>(error);
      append(entry);
    }
    if (size == 0) no_ancillary(message);
    errno = error;
    return size;
  }
}

ssize_t Connection::receive_replayed(msghdr* message, int flags, bool* live) {
  *live = false;
  const size_t wanted = total_size(message);
  replay.lock().lock();
  for (;;) {
    if (at_end_) break;
    if (!queue_.empty()) {
      const uint64_t position = queue_.head;
      if (!replay.deliverable(position)) {
        if (non_blocking_ || (flags & MSG_DONTWAIT) != 0) {
          replay.lock().unlock();
          errno = EAGAIN;
          return -1;
        }
        replay.wait_deliverable_locked(0);
        continue;
      }
      const stm::LogEntry entry = replay.entry_at(position);
      if (entry.kind == kReceiveEnd) {
        at_end_ = true;
        end_error_ = static_cast<int>(entry.number);
        replay.pop_locked(queue_);
        replay.consumed_locked(position);
        break;
      }
      const char* data = replica->log().payload_at(entry.payload_offset) + head_taken_;
      const size_t available = entry.payload_size_bytes - head_taken_;
      const size_t size = std::min(available, wanted);
      const ssize_t copied = deliver(message, data, size);
      if ((flags & MSG_PEEK) == 0) {
        track(data, size);
        head_taken_ += static_cast<uint32_t>(size);
        if (head_taken_ == entry.payload_size_bytes) {
          head_taken_ = 0;
          replay.pop_locked(queue_);
          replay.consumed_locked(position);
        }
      }
      replay.lock().unlock();
      no_ancillary(message);
      return copied;
    }
    if (closed_in_log_ || read_shut_) {
      replay.lock().unlock();
      no_ancillary(message);
      return 0;
    }
    if (replica->leads()) {
      if (lost_) {
        at_end_ = true;
        end_error_ = ECONNRESET;
        break;
      }
      *live = true;
      replay.lock().unlock();
      return -1;
    }
    if (non_blocking_ || (flags & MSG_DONTWAIT) != 0) {
      replay.lock().unlock();
      errno = EAGAIN;
      return -1;
    }
    if (replay.pump_locked_for_waiter() > 0) continue;
    replay.wait_locked(waiters_, 0);
  }
  replay.lock().unlock();
  no_ancillary(message);
  errno = end_error_;
  return end_error_ != 0 ? -1 : 0;
}

ssize_t Connection::receive(int fd, msghdr* message, int flags, os::CallSite) {
  os::MetaLevel meta;
  if (replica->leads() && queue_.empty() && !lost_) return receive_live(fd, message, flags);
  replica->enter();
  bool live = false;
  const ssize_t result = receive_replayed(message, flags, &live);
  return live ? receive_live(fd, message, flags) : result;
}

// --- sending ---

namespace {

constexpr size_t kMaxPiece = 1 << 20;  // one Send entry holds at most so many bytes

uint32_t outcome_of(ssize_t size, int error) {
  return size >= 0 ? static_cast<uint32_t>(size) + kOutcomeBias
                   : kOutcomeError | static_cast<uint32_t>(error);
}

ssize_t from_outcome(uint32_t outcome) {
  if ((outcome & kOutcomeError) != 0) {
    errno = static_cast<int>(outcome & ~kOutcomeError);
    return -1;
  }
  return static_cast<ssize_t>(outcome - kOutcomeBias);
}

}  // namespace

ssize_t Connection::send_live(int fd, const char* data, size_t size, const msghdr* message,
                              int flags, os::CallSite site) {
  (void)site;
  replica->enter();
  Activity* activity = current_activity();
  FutexGuard guard(send_lock_);
  while (needs_flush()) {
    // A dead leader's bytes go first.
    if (!flush()) sleep_ns(200'000);
  }
  const bool non_blocking = non_blocking_ || (flags & MSG_DONTWAIT) != 0;
  const unsigned replies = tracker_.sent(data, size);
  stm::LogEntry entry{};
  entry.kind = kSend;
  entry.activity = activity->id;
  entry.step = activity->id != 0 ? activity->step : 0;
  entry.flags = non_blocking ? kSendNonBlocking : 0;
  entry.call = static_cast<uint16_t>(replies);
  entry.object = number_;
  entry.number = out_logged_;
  const uint64_t position = append_with_payload(entry, data, size);
  last_send_ = position;
  last_send_offset_ = out_logged_;
  last_send_size_ = static_cast<uint32_t>(size);
  last_send_non_blocking_ = non_blocking;
  if (replies > 0) replica->control().replies.fetch_add(replies, std::memory_order_relaxed);
  kill_point(KillPoint::kAfterSendLogged);
  if (kill_point_armed(KillPoint::kHalfSent) && size > 1)
    os::real().send(fd, data, size / 2, flags);
  kill_point(KillPoint::kHalfSent);
  ssize_t sent;
  if (message != nullptr && message->msg_iovlen == 1 && message->msg_iov[0].iov_len == size) {
    sent = os::real().send(fd, message->msg_iov[0].iov_base, size, flags);
  } else {
    sent = os::real().send(fd, data, size, flags);
  }
  const int error = errno;
  kill_point(KillPoint::kAfterSend);
  replica->log().set_outcome(position, outcome_of(sent, error));
  if (sent > 0) out_logged_ += static_cast<uint64_t>(sent);
  kill_point(KillPoint::kAfterOutcome);
  errno = error;
  return sent;
}

bool Connection::compare(const stm::LogEntry& entry, const char* data, size_t size) {
  const Compare what = replica->settings().compare;
  if (what == Compare::kNone) return true;
  if (entry.payload_size_bytes != size) return false;
  if (what == Compare::kLength) return true;
  return memcmp(replica->log().payload_at(entry.payload_offset), data, size) == 0;
}

ssize_t Connection::send_replayed(const char* data, size_t size, os::CallSite, bool* live) {
  *live = false;
  Activity* activity = current_activity();
  if (activity->id == 0) {
    if (replica->leads()) {
      *live = true;
      return -1;
    }
    return static_cast<ssize_t>(
        size);  // the ORB's own message (CloseConnection …): not ours to send
  }
  stm::LogEntry entry;
  uint64_t position;
  if (replay.next_decision(activity->id, activity->step, &entry, &position) ==
      Replay::Step::kLive) {
    *live = true;
    return -1;
  }
  if (entry.kind != kSend)
    diverge("this replica replies where the leader made another decision (entry %llu, kind %u)",
            static_cast<unsigned long long>(position), entry.kind);
  if (entry.object != number_)
    diverge("this replica replies on connection %llu, the leader did on %llu",
            static_cast<unsigned long long>(number_),
            static_cast<unsigned long long>(entry.object));
  ReplicaSlot& own = replica->slot();
  if (!compare(entry, data, size)) {
    own.mismatches.fetch_add(1);
    const char* logged = replica->log().payload_at(entry.payload_offset);
    size_t at = 0;
    const size_t common = std::min<size_t>(size, entry.payload_size_bytes);
    while (at < common && logged[at] == data[at]) ++at;
    diverge("its reply differs from the leader's: %zu bytes against %u, first difference at offset "
            "%zu (%02x against %02x), log entry %llu",
            size, entry.payload_size_bytes, at, at < size ? static_cast<uint8_t>(data[at]) : 0,
            at < entry.payload_size_bytes ? static_cast<uint8_t>(logged[at]) : 0,
            static_cast<unsigned long long>(position));
  }
  if (entry.call > 0) own.compared.fetch_add(entry.call, std::memory_order_relaxed);
  uint32_t outcome = 0;
  while (!replica->log().outcome(position, &outcome)) sleep_ns(200'000);
  replay.send_reached(position);
  return from_outcome(outcome);
}

ssize_t Connection::send(int fd, const msghdr* message, int flags, os::CallSite site) {
  os::MetaLevel meta;
  size_t size = total_size(message);
  if (size == 0 || (flags & MSG_OOB) != 0) {
    return is_virtual() ? static_cast<ssize_t>(size) : os::real().sendmsg(fd, message, flags);
  }
  replica->enter();
  announce_reply_bytes(number_);
  size_t done = 0;
  while (done < size) {
    // One piece, contiguous: the vector's own memory where it is one, else a copy.
    char gathered[4096];
    const char* data = nullptr;
    size_t piece = std::min(size - done, kMaxPiece);
    size_t skip = done;
    size_t filled = 0;
    for (size_t i = 0; i < message->msg_iovlen && data == nullptr && filled < piece; ++i) {
      const iovec& part = message->msg_iov[i];
      if (skip >= part.iov_len) {
        skip -= part.iov_len;
        continue;
      }
      const char* from = static_cast<const char*>(part.iov_base) + skip;
      const size_t left = part.iov_len - skip;
      skip = 0;
      if (filled == 0 && left >= std::min(piece, sizeof gathered)) {
        data = from;
        piece = std::min(piece, left);
        break;
      }
      const size_t count = std::min({left, piece - filled, sizeof gathered - filled});
      memcpy(gathered + filled, from, count);
      filled += count;
      if (filled == sizeof gathered) break;
    }
    if (data == nullptr) {
      data = gathered;
      piece = filled;
    }
    Activity* activity = current_activity();
    if (activity->id != 0) ++activity->step;
    ssize_t sent = -1;
    bool live = replica->leads();
    if (!live) sent = send_replayed(data, piece, site, &live);
    if (live) {
      if (lost_) {
        errno = EPIPE;
        sent = -1;
      } else {
        sent = send_live(fd, data, piece, nullptr, flags, site);
      }
    }
    if (sent < 0) return done > 0 ? static_cast<ssize_t>(done) : -1;
    done += static_cast<size_t>(sent);
    if (static_cast<size_t>(sent) < piece) break;
  }
  return static_cast<ssize_t>(done);
}

// --- takeover ---

void Connection::recover_input() {
  const int fd = fd_ >= 0 ? fd_ : held_fd_;
  if (fd < 0 || lost_) return;
  const KernelCounts counts = kernel_counts(fd, opened_here_, write_shut_);
  if (!counts.known || counts.dead) return;
  if (counts.consumed > in_logged_ && counts.consumed - in_logged_ <= kLandingSizeBytes)
    log_receive(replica->landing(slot_), counts.consumed - in_logged_);
  else if (counts.consumed > in_logged_)
    replica->leave_group(Role::kDead, "the kernel has given out more bytes than were kept");
}

void Connection::recover_output() {
  if (last_send_ == kNoPosition) return;
  stm::StableLog& log = replica->log();
  const int fd = fd_ >= 0 ? fd_ : held_fd_;
  const uint64_t end = last_send_offset_ + last_send_size_;
  uint32_t outcome = 0;
  const bool settled = log.outcome(last_send_, &outcome);
  const KernelCounts counts =
      fd >= 0 && !lost_ ? kernel_counts(fd, opened_here_, write_shut_) : KernelCounts{};
  if (!counts.known || counts.dead) {
    if (!settled) log.set_outcome(last_send_, outcome_of(static_cast<ssize_t>(last_send_size_), 0));
    out_logged_ = end;
    return;
  }
  const uint64_t handed = std::max(counts.handed_over, last_send_offset_);
  if (settled) {
    const uint64_t sent = (outcome & kOutcomeError) != 0 ? 0 : outcome - kOutcomeBias;
    out_logged_ = last_send_offset_ + sent;
  } else if (last_send_non_blocking_ && handed < end) {
    const uint64_t sent = handed - last_send_offset_;
    log.set_outcome(last_send_, outcome_of(sent > 0 ? static_cast<ssize_t>(sent) : -1, EAGAIN));
    out_logged_ = handed;
  } else {
    log.set_outcome(last_send_, outcome_of(static_cast<ssize_t>(last_send_size_), 0));
    out_logged_ = end;
  }
  if (handed < out_logged_) {
    unflushed_begin_ = handed;
    unflushed_end_ = out_logged_;
    flush();
  }
}

// Hands over what the dead leader had published; true when all is out. Under send_lock_ or before
// the server's threads are live.
bool Connection::flush() {
  const int fd = fd_ >= 0 ? fd_ : held_fd_;
  while (unflushed_begin_ < unflushed_end_) {
    const char* data = replica->log().payload_at(last_send_payload_);
    const ssize_t sent = os::real().send(fd, data + (unflushed_begin_ - last_send_offset_),
                                         unflushed_end_ - unflushed_begin_,
                                         MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN || errno == EINTR) return false;
      unflushed_begin_ = unflushed_end_;  // the client is gone
      return true;
    }
    unflushed_begin_ += static_cast<uint64_t>(sent);
  }
  return true;
}

// --- the end ---

int Connection::shutdown(int fd, int how) {
  os::MetaLevel meta;
  replica->enter();
  if (is_virtual()) {
    if (how == SHUT_RD || how == SHUT_RDWR) {
      FutexGuard guard(replay.lock());
      read_shut_ = true;
      replay.wake_locked(waiters_);
      if (take_polled()) replay.wake_pollers_locked();
    }
    return 0;
  }
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
  if (is_virtual()) {
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
  kill_point(KillPoint::kBeforeClose);
  stm::LogEntry entry{};
  entry.kind = kClose;
  entry.object = number_;
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

int Connection::getsockopt(int fd, int level, int name, void* value, socklen_t* length) {
  if (is_virtual() && level == SOL_SOCKET && name == SO_ERROR && *length >= sizeof(int)) {
    *static_cast<int*>(value) = 0;
    *length = sizeof(int);
    return 0;
  }
  return os::real().getsockopt(fd, level, name, value, length);
}

int Connection::getpeername(int, sockaddr* address, socklen_t* length) {
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

short Connection::readiness(short events) {
  FutexGuard guard(replay.lock());
  bool undeliverable = false;
  return readiness_locked(events, &undeliverable);
}

}  // namespace auxin::replication
