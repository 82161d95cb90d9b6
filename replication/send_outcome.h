// SPDX-License-Identifier: Apache-2.0
//
// What a Send came to: as one word, and for who waits for it. Of the files of Connection.
#pragma once

#include <errno.h>

#include <atomic>

#include "replication/connection.h"
#include "replication/futex.h"
#include "replication/log_entry.h"
#include "replication/replay.h"

namespace auxin::replication {

inline constexpr uint64_t kOutcomeLookNs = 200'000, kLateOutcomeLookNs = 2'000'000;

inline uint32_t outcome_of(ssize_t size, int error) {
  return size >= 0 ? static_cast<uint32_t>(size) + kOutcomeBias
                   : kOutcomeError | static_cast<uint32_t>(error);
}

inline uint64_t sent_by(uint32_t outcome) {
  return (outcome & kOutcomeError) != 0 ? 0 : outcome - kOutcomeBias;
}

// As it stands in the next entry, where 7 bits are free: no error of a socket has a higher number.
inline uint8_t error_of(uint32_t outcome) {
  if ((outcome & kOutcomeError) == 0) return 0;
  const uint32_t error = outcome & ~kOutcomeError;
  return error < 1u << (8 - kPreviousErrorShift) ? static_cast<uint8_t>(error) : EIO;
}

inline ssize_t from_outcome(uint32_t outcome) {
  if ((outcome & kOutcomeError) != 0) {
    errno = static_cast<int>(outcome & ~kOutcomeError);
    return -1;
  }
  return static_cast<ssize_t>(outcome - kOutcomeBias);
}

// A thread that waits for the outcome of a Send whose log entry its replica has given free. By the
// time it looks again the log and the connection's slot may speak of later ones only; then the
// entry behind it has told.
class Connection::LateSend {
 public:
  enum class Whose { kOwn, kReplayed };
  LateSend(Connection& connection, uint64_t position, Whose whose)
      : position_(position), connection_(connection) {
    FutexGuard guard(replay.lock());
    if (whose == Whose::kReplayed) outcome_.store(replay.noted_outcome_locked(position));
    next_ = connection.late_sends_;
    connection.late_sends_ = this;
  }
  ~LateSend() {
    FutexGuard guard(replay.lock());
    LateSend** link = &connection_.late_sends_;
    while (*link != nullptr && *link != this) link = &(*link)->next_;
    if (*link != nullptr) *link = next_;
  }
  LateSend(const LateSend&) = delete;
  LateSend& operator=(const LateSend&) = delete;

  // Blocks until it is known.
  uint32_t outcome() const {
    uint32_t outcome;
    while ((outcome = outcome_.load(std::memory_order_acquire)) == 0 &&
           !connection_.outcome_of_send(position_, &outcome))
      sleep_ns(kLateOutcomeLookNs);
    return outcome;
  }
  LateSend* next() const { return next_; }
  uint64_t position() const { return position_; }
  void tell(uint32_t outcome) { outcome_.store(outcome, std::memory_order_release); }

 private:
  const uint64_t position_;
  Connection& connection_;
  std::atomic<uint32_t> outcome_{0};  // 0: not yet
  LateSend* next_;
};

}  // namespace auxin::replication
