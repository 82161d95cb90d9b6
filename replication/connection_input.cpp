// SPDX-License-Identifier: Apache-2.0
//
// A connection's input: in the leader from the kernel by way of the landing buffer and the log, in
// a follower from the log (connection.h has the picture).
#include <errno.h>
#include <string.h>

#include <algorithm>

#include "libmeta_os/guard.h"
#include "libmeta_os/real_calls.h"
#include "replication/activity.h"
#include "replication/connection.h"
#include "replication/decision.h"
#include "replication/kill_points.h"
#include "replication/live_part.h"
#include "replication/log_writer.h"
#include "replication/message_size.h"
#include "replication/replica.h"
#include "replication/request_events.h"

namespace auxin::replication {

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

void no_ancillary(msghdr* message) {
  message->msg_controllen = 0;
  message->msg_namelen = 0;
  message->msg_flags = 0;
}

}  // namespace

bool Connection::receive_live(int fd, msghdr* message, int flags, ssize_t* result) {
  replica->enter();
  const size_t wanted = total_size(message);
  if (wanted == 0 || (flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE)) != 0) {
    const LivePart waits(LiveState::kWaits);
    if (!waits.leads()) return false;
    *result = os::real().recvmsg(fd, message, flags);
    return *result >= 0 || errno != EINTR || waits.leads();
  }
  size_t got = 0;
  FutexGuard guard(receive_lock_);
  // A ReceiveEnd of the log was met while this replica followed: it holds for ever.
  if (at_end_) {
    errno = end_error_;
    *result = end_error_ != 0 ? -1 : 0;
    return true;
  }
  char* landing = replica->landing(slot_);
  for (;;) {
    kill_point(KillPoint::kBeforeReceive);
    const size_t room = std::min<size_t>(wanted - got, kLandingSizeBytes);
    hold_back_for_checkpoint();
    const LivePart waits(LiveState::kWaits);
    if (!waits.leads()) return got > 0;
    const ssize_t size = os::real().recv(fd, landing, room, flags & ~MSG_WAITALL);
    const int error = errno;
    const LivePart publishes;
    if (!publishes.leads()) return got > 0;
    if (size > 0) {
      kill_point(KillPoint::kAfterReceive);
      // Here and not before: a socket left unread looks to the ORB as if its thread were busy.
      hold_back_for_followers();
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
      *result = static_cast<ssize_t>(got);
      if ((flags & MSG_WAITALL) != 0 && got < wanted) continue;
      no_ancillary(message);
      return true;
    }
    if (got > 0) return true;
    if (size == 0 || (error != EAGAIN && error != EINTR && error != EWOULDBLOCK)) {
      stm::LogEntry entry{};
      entry.kind = kReceiveEnd;
      entry.object = number_;
      entry.number = size == 0 ? 0 : static_cast<uint64_t>(error);
      append(entry);
    }
    if (size == 0) no_ancillary(message);
    errno = error;
    *result = size;
    return true;
  }
}

ssize_t Connection::receive_replayed(msghdr* message, int flags, bool wait, bool* live) {
  *live = false;
  const size_t wanted = total_size(message);
  replay.lock().lock();
  for (;;) {
    if (at_end_) break;
    if (!queue_.empty()) {
      const uint64_t position = queue_.head;
      if (!replay.deliverable(position)) {
        if (!wait) {
          replay.lock().unlock();
          errno = EAGAIN;
          return -1;
        }
        ++readers_;
        replay.wait_deliverable_locked(position);
        --readers_;
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
    if (!wait) {
      replay.lock().unlock();
      errno = EAGAIN;
      return -1;
    }
    if (replay.pump_locked_for_waiter() > 0) continue;
    ++readers_;
    replay.wait_locked(waiters_, 0);
    --readers_;
  }
  replay.lock().unlock();
  no_ancillary(message);
  errno = end_error_;
  return end_error_ != 0 ? -1 : 0;
}

ssize_t Connection::receive_anyhow(int fd, msghdr* message, int flags, bool wait) {
  replica->enter();
  for (;;) {
    ssize_t result;
    bool live = replica->leads() && queue_.empty() && !lost_;
    if (!live) result = receive_replayed(message, flags, wait, &live);
    if (!live || receive_live(fd, message, flags, &result)) return result;
  }
}

// Whether there was something to receive is a decision of the activity that does not wait for it.
ssize_t Connection::receive_agreed(int fd, msghdr* message, int flags) {
  Decision decision(os::CallSite{});
  stm::LogEntry logged;
  while (!decision.replay(&logged)) {
    if (!decision.begin_logging()) continue;  // before: what is received belongs to the decision
    const ssize_t result = receive_anyhow(fd, message, flags | MSG_DONTWAIT, false);
    const int error = errno;
    decision.log_value(ValueForm::kReceivable, result >= 0 || error != EAGAIN, 0, 0);
    errno = error;
    return result;
  }
  decision.expect(logged, ValueForm::kReceivable);
  decision.done();
  if (logged.object != 0) return receive_anyhow(fd, message, flags, true);
  errno = EAGAIN;
  return -1;
}

ssize_t Connection::receive(int fd, msghdr* message, int flags, os::CallSite) {
  os::MetaLevel meta;
  const bool wait = !non_blocking_ && (flags & MSG_DONTWAIT) == 0;
  if (wait || current_activity()->id == 0) return receive_anyhow(fd, message, flags, wait);
  return receive_agreed(fd, message, flags);
}

// At a takeover: what the dead leader consumed and did not log is in the landing buffer.
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

}  // namespace auxin::replication
