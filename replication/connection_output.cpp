// SPDX-License-Identifier: Apache-2.0
//
// A connection's output: in the leader into the log, then to the kernel; in a follower compared
// with the log and dropped; at a takeover finished from the log by the kernel's count.
#include <errno.h>
#include <string.h>

#include <algorithm>

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
#include "stmemu/check.h"

namespace auxin::replication {

namespace {

constexpr uint64_t kOutcomeLookNs = 200'000, kLateOutcomeLookNs = 2'000'000;
constexpr uint64_t kEndPatienceNs = 1'000'000'000;

uint32_t outcome_of(ssize_t size, int error) {
  return size >= 0 ? static_cast<uint32_t>(size) + kOutcomeBias
                   : kOutcomeError | static_cast<uint32_t>(error);
}

uint64_t sent_by(uint32_t outcome) {
  return (outcome & kOutcomeError) != 0 ? 0 : outcome - kOutcomeBias;
}

// As it stands in the next entry, where 7 bits are free: no error of a socket has a higher number.
uint8_t error_of(uint32_t outcome) {
  if ((outcome & kOutcomeError) == 0) return 0;
  const uint32_t error = outcome & ~kOutcomeError;
  return error < 1u << (8 - kPreviousErrorShift) ? static_cast<uint8_t>(error) : EIO;
}

ssize_t from_outcome(uint32_t outcome) {
  if ((outcome & kOutcomeError) != 0) {
    errno = static_cast<int>(outcome & ~kOutcomeError);
    return -1;
  }
  return static_cast<ssize_t>(outcome - kOutcomeBias);
}

}  // namespace

bool Connection::send_live(int fd, const char* data, size_t size, int flags, ssize_t* sent) {
  replica->enter();
  Activity* activity = current_activity();
  FutexGuard guard(send_lock_);
  const LivePart publishes;
  if (!publishes.leads()) return false;
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
  kill_point(KillPoint::kAfterSendLogged);
  if (kill_point_armed(KillPoint::kHalfSent) && size > 1)
    os::real().send(fd, data, size / 2, flags);
  kill_point(KillPoint::kHalfSent);
  *sent = os::real().send(fd, data, size, flags);
  const int error = errno;
  kill_point(KillPoint::kAfterSend);
  settle_send(position, outcome_of(*sent, error));
  if (*sent > 0) out_logged_ += static_cast<uint64_t>(*sent);
  kill_point(KillPoint::kAfterOutcome);
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

// --- outcomes ---

// The word in the log first or last makes no difference: who asks looks at both.
void Connection::settle_send(uint64_t position, uint32_t outcome) {
  last_send_error_ = error_of(outcome);
  if (ConnectionSlot& slot = shared(); slot.number.load(std::memory_order_relaxed) == number_) {
    slot.settled_send.store(kNoPosition, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    slot.settled_outcome.store(outcome, std::memory_order_relaxed);
    slot.settled_send.store(position, std::memory_order_release);
  }
  replica->log().set_outcome(position, outcome);
}

bool Connection::outcome_of_send(uint64_t position, uint32_t* outcome) {
  if (replica->log().outcome(position, outcome)) return true;
  const ConnectionSlot& slot = shared();
  const uint64_t settled = slot.settled_send.load(std::memory_order_acquire);
  const uint32_t value = slot.settled_outcome.load(std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_acquire);
  if (settled != position || slot.settled_send.load(std::memory_order_relaxed) != position)
    return false;
  *outcome = value;
  return true;
}

// A thread of a follower that waits for the outcome of a Send whose log entry it has given free.
// By the time it looks again the log and the connection's slot may speak of later ones only; then
// the entry behind it has told.
struct Connection::LateSend {
  uint64_t position;
  std::atomic<uint32_t> outcome;  // 0: not yet
  LateSend* next;
};

// Pump: the connection's next entry says what the Send before it came to.
void Connection::note_outcome_of_last_send(const stm::LogEntry& next) {
  if (last_send_ == kNoPosition) return;
  const int error = next.flags >> kPreviousErrorShift;
  const uint32_t outcome =
      error != 0 ? outcome_of(-1, error)
                 : outcome_of(static_cast<ssize_t>(next.number - last_send_offset_), 0);
  replay.note_outcome_locked(last_send_, outcome);
  for (LateSend* late = late_sends_; late != nullptr; late = late->next)
    if (late->position == last_send_) late->outcome.store(outcome, std::memory_order_release);
}

// Where the leader is still sending after a moment, the entry counts as reached: neither the log's
// end nor other connections wait for a client.
uint32_t Connection::await_outcome(uint64_t position, const stm::LogEntry& entry) {
  uint32_t outcome = 0;
  bool settled = outcome_of_send(position, &outcome);
  if (!settled) {
    sleep_ns(kOutcomeLookNs);
    settled = outcome_of_send(position, &outcome);
  }
  if (!settled) return await_late_outcome(position, entry);
  if (!opened_here_) note_reply();
  replay.send_reached(position);
  return outcome;
}

uint32_t Connection::await_late_outcome(uint64_t position, const stm::LogEntry& entry) {
  {
    FutexGuard guard(send_lock_);
    if (!keep_send(position, entry.payload_offset, entry.payload_size_bytes))
      diverge("the log no longer holds entry %llu, which this replica has not left yet",
              static_cast<unsigned long long>(position));
  }
  LateSend late{position, 0, nullptr};
  {
    FutexGuard guard(replay.lock());
    late.outcome = replay.noted_outcome_locked(position);
    late.next = late_sends_;
    late_sends_ = &late;
  }
  if (!opened_here_) note_reply();
  replay.send_reached(position);
  uint32_t outcome;
  while ((outcome = late.outcome.load(std::memory_order_acquire)) == 0 &&
         !outcome_of_send(position, &outcome))
    sleep_ns(kLateOutcomeLookNs);
  FutexGuard guard(replay.lock());
  LateSend** link = &late_sends_;
  while (*link != nullptr && *link != &late) link = &(*link)->next;
  if (*link != nullptr) *link = late.next;
  return outcome;
}

void Connection::leave_history() {
  lost_ = true;
  queue_ = send_order_ = {};
  head_taken_ = 0;
  last_send_ = kNoPosition;
  unflushed_begin_ = unflushed_end_ = 0;
  for (LateSend* late = late_sends_; late != nullptr; late = late->next)
    late->outcome.store(outcome_of(-1, EPIPE), std::memory_order_release);
}

// A copy of a Send's payload, until the connection's next Send or its end. False: the log has given
// it up. Under send_lock_.
bool Connection::keep_send(uint64_t position, uint64_t payload_offset, uint32_t size) {
  if (kept_send_.load() == position) return true;
  kept_send_.store(kNoPosition);
  kept_bytes_.reset(new char[size]);
  memcpy(kept_bytes_.get(), replica->log().payload_at(payload_offset), size);
  std::atomic_thread_fence(std::memory_order_acquire);
  if (position < replica->log().begin()) return false;
  kept_send_.store(position);
  return true;
}

// The connection's output has come to `position`: what was kept before is wholly in the kernel.
void Connection::forget_kept_before(uint64_t position) {
  const uint64_t kept = kept_send_.load(std::memory_order_relaxed);
  if (kept == kNoPosition || kept >= position) return;
  FutexGuard guard(send_lock_);
  CHECK(!needs_flush(), "the log goes on behind a Send only when that is in the kernel");
  kept_send_.store(kNoPosition);
  kept_bytes_.reset();
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

// --- takeover ---

void Connection::recover_output() {
  if (last_send_ == kNoPosition) return;
  FutexGuard guard(send_lock_);
  const int fd = fd_ >= 0 ? fd_ : held_fd_;
  const uint64_t end = last_send_offset_ + last_send_size_;
  const KernelCounts counts = fd >= 0 && !lost_ && !closed_in_log_
                                  ? kernel_counts(fd, opened_here_, write_shut_)
                                  : KernelCounts{};
  const bool reachable = counts.known && !counts.dead;
  const uint64_t handed = reachable ? std::max(counts.handed_over, last_send_offset_) : end;
  uint32_t outcome = 0;
  if (!outcome_of_send(last_send_, &outcome)) {
    const uint64_t sent = last_send_non_blocking_ ? std::min(handed, end) - last_send_offset_
                                                  : last_send_size_;
    outcome = sent > 0 ? outcome_of(static_cast<ssize_t>(sent), 0) : outcome_of(-1, EAGAIN);
  }
  settle_send(last_send_, outcome);
  out_logged_ = last_send_offset_ + sent_by(outcome);
  if (handed >= out_logged_) return;
  if (!keep_send(last_send_, last_send_payload_, last_send_size_)) {
    // An end is better than a gap. It can't be: who has reached an entry without its outcome has
    // kept it, and the log keeps what somebody has not reached.
    lost_ = true;
    os::real().shutdown(fd, SHUT_RDWR);
    return;
  }
  unflushed_begin_ = handed;
  unflushed_end_ = out_logged_;
  flush();
}

void Connection::flush_if_idle() {
  if (!needs_flush() || !send_lock_.try_lock()) return;
  flush();
  send_lock_.unlock();
}

// Before an end: to the server all of its output is in the kernel already.
void Connection::flush_before_end() {
  const uint64_t patience_ends_ns = monotonic_ns() + kEndPatienceNs;
  while (needs_flush() && monotonic_ns() < patience_ends_ns) {
    flush_if_idle();
    if (needs_flush()) sleep_ns(kOutcomeLookNs);
  }
}

// Hands over what the dead leader had published; true when all is out. Under send_lock_.
bool Connection::flush() {
  const int fd = fd_ >= 0 ? fd_ : held_fd_;
  while (unflushed_begin_ < unflushed_end_) {
    CHECK(kept_send_.load() == last_send_, "what is not in the kernel yet is kept");
    const char* data = kept_bytes_.get() + (unflushed_begin_ - last_send_offset_);
    const ssize_t sent = os::real().send(fd, data, unflushed_end_ - unflushed_begin_,
                                         MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN || errno == EINTR) return false;
      unflushed_begin_ = unflushed_end_;  // the client is gone
      return true;
    }
    unflushed_begin_ += static_cast<uint64_t>(sent);
  }
  kept_send_.store(kNoPosition);
  kept_bytes_.reset();
  return true;
}

}  // namespace auxin::replication
