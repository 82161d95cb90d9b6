// SPDX-License-Identifier: Apache-2.0
//
// A connection's output once it is published: what each Send came to, and at a takeover the rest of
// it, by the kernel's count.
#include <string.h>
#include <sys/socket.h>

#include <algorithm>

#include "libmeta_os/real_calls.h"
#include "replication/connection.h"
#include "replication/divergence.h"
#include "replication/kernel_socket.h"
#include "replication/ordered_section.h"
#include "replication/replica.h"
#include "replication/send_outcome.h"
#include "stmemu/check.h"

namespace auxin::replication {

namespace {

constexpr uint64_t kEndPatienceNs = 1'000'000'000;

}  // namespace

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

// Pump: the connection's next entry says what the Send before it came to.
void Connection::note_outcome_of_last_send(const stm::LogEntry& next) {
  if (last_send_ == kNoPosition) return;
  const int error = next.flags >> kPreviousErrorShift;
  const uint32_t outcome =
      error != 0 ? outcome_of(-1, error)
                 : outcome_of(static_cast<ssize_t>(next.number - last_send_offset_), 0);
  replay.note_outcome_locked(last_send_, outcome);
  for (LateSend* late = late_sends_; late != nullptr; late = late->next())
    if (late->position() == last_send_) late->tell(outcome);
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
  const LateSend late(*this, position, LateSend::Whose::kReplayed);
  if (!opened_here_) note_reply();
  replay.send_reached(position);
  return late.outcome();
}

void Connection::leave_history() {
  lost_ = true;
  queue_ = send_order_ = {};
  head_taken_ = 0;
  last_send_ = kNoPosition;
  unflushed_begin_ = unflushed_end_ = 0;
  for (LateSend* late = late_sends_; late != nullptr; late = late->next())
    late->tell(outcome_of(-1, EPIPE));
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
