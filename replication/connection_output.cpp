// SPDX-License-Identifier: Apache-2.0
//
// A connection's output: in the leader into the log, then to the kernel; in a follower compared
// with the log and dropped. What came of it: connection_outcome.cpp.
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>

#include <algorithm>
#include <optional>

#include "libmeta_os/guard.h"
#include "libmeta_os/real_calls.h"
#include "replication/activity.h"
#include "replication/connection.h"
#include "replication/divergence.h"
#include "replication/kill_points.h"
#include "replication/live_part.h"
#include "replication/log_writer.h"
#include "replication/message_size.h"
#include "replication/ordered_section.h"
#include "replication/rehearsal/rehearsal.h"
#include "replication/replica.h"
#include "replication/request_events.h"
#include "replication/send_outcome.h"
#include "stmemu/check.h"

namespace auxin::replication {

bool Connection::send_live(int fd, const char* data, size_t size, int flags, ssize_t* sent) {
  replica->enter();
  std::optional<LateSend> late;
  {
    FutexGuard guard(send_lock_);
    const LivePart publishes;
    while (publishes.leads() && needs_flush()) {
      // A dead leader's bytes go first.
      if (flush()) break;
      const LiveRest rest(LiveState::kFree);
      sleep_ns(200'000);
    }
    if (!publishes.leads()) return false;
    const bool non_blocking = non_blocking_ || (flags & MSG_DONTWAIT) != 0;
    const uint64_t position = publish_send(data, size, non_blocking);
    kill_point(KillPoint::kAfterSendLogged);
    if (kill_point_armed(KillPoint::kHalfSent) && size > 1)
      os::real().send(fd, data, size / 2, flags);
    kill_point(KillPoint::kHalfSent);
    if (hand_over(fd, data, size, flags, sent, &late)) {
      const int error = errno;
      kill_point(KillPoint::kAfterSend);
      settle_send(position, outcome_of(*sent, error));
      if (*sent > 0) out_logged_ += static_cast<uint64_t>(*sent);
      kill_point(KillPoint::kAfterOutcome);
      errno = error;
      return true;
    }
  }
  *sent = from_outcome(late->outcome());
  return true;
}

uint64_t Connection::publish_send(const char* data, size_t size, bool non_blocking) {
  const Activity* activity = current_activity();
  const unsigned replies = tracker_.sent(data, size);
  stm::LogEntry entry{};
  entry.kind = kSend;
  entry.activity = activity->id;
  entry.step = activity->id != 0 ? activity->step : 0;
  entry.flags = static_cast<uint8_t>((non_blocking ? kSendNonBlocking : 0) |
                                     last_send_error_ << kPreviousErrorShift);
  entry.call = static_cast<uint16_t>(replies);
  entry.object = number_;
  entry.number = out_logged_;
  const uint64_t position = append_with_payload(entry, data, size);
  last_send_ = position;
  last_send_offset_ = out_logged_;
  last_send_size_ = static_cast<uint32_t>(size);
  last_send_non_blocking_ = non_blocking;
  if (replies > 0) replica->control().replies.fetch_add(replies, std::memory_order_relaxed);
  if (!opened_here_) note_reply();
  return position;
}

// To the kernel, as the server's own call would: all of it, unless the socket does not block.
// False: this process follows now; what came of it another one tells.
bool Connection::hand_over(int fd, const char* data, size_t size, int flags, ssize_t* sent,
                           std::optional<LateSend>* late) {
  *sent = os::real().send(fd, data, size, flags | MSG_DONTWAIT);
  if (last_send_non_blocking_ || *sent == static_cast<ssize_t>(size) ||
      (*sent < 0 && errno != EAGAIN && errno != EINTR))
    return true;
  late->emplace(*this, last_send_, LateSend::Whose::kOwn);
  return hand_over_rest(fd, data, size, flags, sent);
}

// The client is slow, or does not take its reply at all. A checkpoint does not wait for it: it
// finds the thread in poll, and in the restored process, which follows, that ends.
bool Connection::hand_over_rest(int fd, const char* data, size_t size, int flags, ssize_t* sent) {
  // Should that process lead once, and this one not have finished.
  kept_bytes_.reset(new char[size]);
  memcpy(kept_bytes_.get(), data, size);
  kept_send_.store(last_send_);
  timeval limit{};
  socklen_t limit_size = sizeof limit;
  os::real().getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &limit_size);
  const uint64_t limit_ns = static_cast<uint64_t>(limit.tv_sec) * 1'000'000'000 +
                            static_cast<uint64_t>(limit.tv_usec) * 1000;
  const uint64_t deadline_ns = monotonic_ns() + limit_ns;  // limit_ns 0: none
  size_t done = *sent > 0 ? static_cast<size_t>(*sent) : 0;
  int error = 0;
  while (done < size && error == 0) {
    {
      const LiveRest rest(LiveState::kWaits);
      pollfd room{fd, POLLOUT, 0};
      const uint64_t now_ns = monotonic_ns();
      if (limit_ns != 0 && now_ns >= deadline_ns) {
        error = EAGAIN;
      } else {
        const uint64_t left_ns = deadline_ns - now_ns;
        const timespec left{static_cast<time_t>(left_ns / 1'000'000'000),
                            static_cast<long>(left_ns % 1'000'000'000)};
        os::raw_syscall(SYS_ppoll, reinterpret_cast<long>(&room), 1,
                        limit_ns != 0 ? reinterpret_cast<long>(&left) : 0, 0, 8);
      }
    }
    if (!replica->leads()) return false;
    if (error != 0) break;
    const ssize_t now = os::real().send(fd, data + done, size - done, flags | MSG_DONTWAIT);
    if (now > 0) done += static_cast<size_t>(now);
    else if (now < 0 && errno != EAGAIN && errno != EINTR) error = errno;
  }
  kept_send_.store(kNoPosition);
  kept_bytes_.reset();
  *sent = done > 0 ? static_cast<ssize_t>(done) : -1;
  errno = error;
  return true;
}

bool Connection::compare(const stm::LogEntry& entry, const char* data, size_t size) {
  const Compare what = replica->settings().compare;
  if (what == Compare::kNone) return true;
  if (entry.payload_size_bytes != size) return false;
  if (what == Compare::kLength) return true;
  return memcmp(replica->log().payload_at(entry.payload_offset), data, size) == 0;
}

ssize_t Connection::send_replayed(const char* data, size_t size, bool* live) {
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
  forget_kept_before(position);
  ReplicaSlot& own = replica->slot();
  if (!compare(entry, data, size)) {
    own.mismatches.fetch_add(1);
    const char* logged = replica->log().payload_at(entry.payload_offset);
    size_t at = 0;
    const size_t common = std::min<size_t>(size, entry.payload_size_bytes);
    while (at < common && logged[at] == data[at]) ++at;
    if (rehearsing()) note_different_reply(position, entry, data, size, at);
    diverge("its reply differs from the leader's: %zu bytes against %u, first difference at offset "
            "%zu (%02x against %02x), log entry %llu",
            size, entry.payload_size_bytes, at, at < size ? static_cast<uint8_t>(data[at]) : 0,
            at < entry.payload_size_bytes ? static_cast<uint8_t>(logged[at]) : 0,
            static_cast<unsigned long long>(position));
  }
  if (entry.call > 0) own.compared.fetch_add(entry.call, std::memory_order_relaxed);
  return from_outcome(await_outcome(position, entry));
}

ssize_t Connection::send(int fd, const msghdr* message, int flags, os::CallSite) {
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
    size_t piece = std::min(size - done, most_payload_bytes());
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
    for (bool live = replica->leads();; live = false) {
      if (!live) sent = send_replayed(data, piece, &live);
      if (!live) break;
      if (lost_) {
        errno = EPIPE;
        sent = -1;
        break;
      }
      if (send_live(fd, data, piece, flags, &sent)) break;
    }
    if (sent < 0) return done > 0 ? static_cast<ssize_t>(done) : -1;
    done += static_cast<size_t>(sent);
    if (static_cast<size_t>(sent) < piece) break;
  }
  return static_cast<ssize_t>(done);
}

}  // namespace auxin::replication
