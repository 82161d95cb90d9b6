// SPDX-License-Identifier: Apache-2.0
//
// Decision: one nondeterministic step of the calling thread's activity, made in the leader and
// followed elsewhere. Every facet is written with it:
//
//   Decision decision(site);
//   LogEntry logged;
//   while (!decision.replay(&logged)) {
//     …do it freely…;
//     if (decision.begin_logging()) { decision.log…(…); return …; }
//     …undo it…;
//   }
//   …do what the leader did…;
//   decision.done();
//
// replay() blocks in a follower until the leader's decision is known, or this replica leads and
// nothing is left to follow. The loop goes round where a process is restored from an image that was
// taken of a leader in the middle of it (live_part.h). A thread without an activity is not
// followed: named() is false.
//
// Thread safety: a local object of one thread.
#pragma once

#include <sys/socket.h>

#include <cstdint>

#include "libmeta_os/facets.h"
#include "replication/activity.h"
#include "replication/log_entry.h"
#include "replication/live_part.h"
#include "replication/log_writer.h"
#include "replication/replica.h"

namespace auxin::replication {

class Decision {
 public:
  explicit Decision(os::CallSite site, Activity* activity = current_activity())
      : activity_(activity), site_(site) {
    replica->enter();
  }

  // False: this thread works for no activity; the call is to be made as without Auxin.
  bool named() const { return activity_->id != 0; }

  // True: *entry is what the leader did at this step. False: decide now, and log it.
  bool replay(stm::LogEntry* entry) {
    if (step_ == 0) [[likely]] step_ = ++activity_->step;
    if (!replica->leads()) [[unlikely]] return follow(entry);
    // A request was held back where it entered; a thread of the application's has no other place.
    if (!is_request(activity_->id)) {
      hold_back_for_checkpoint();
      hold_back_for_followers();
    }
    return false;
  }
  // The followed decision has taken effect here.
  void done();
  // The followed decision says that time has passed: waits for all that happened before it.
  void await_its_time();

  // The decision has been made freely and is going to be logged: no checkpoint is taken until it
  // is. False: this process has been restored from one meanwhile, and follows.
  bool begin_logging() {
    before_logging_ = live_state_now();
    set_live_state(LiveState::kPublishes);
    if (replica->leads()) [[likely]] return true;
    set_live_state(before_logging_);
    return false;
  }
  // Publish the leader's decision, after begin_logging(). Each returns its position.
  uint64_t log_acquire(uint64_t object, uint64_t number, AcquireForm form, int result);
  uint64_t log_value(ValueForm form, uint64_t object, uint64_t number, int result);
  uint64_t log_bytes(ValueForm form, const void* data, uint32_t size_bytes, uint64_t object);
  uint64_t log_listener(uint64_t number, const void* address, uint32_t size_bytes, int error);
  uint64_t log_connect(uint64_t number, uint64_t slot, const void* address, uint32_t size_bytes,
                       int error);

  // Checks that the followed entry is an acquisition of the given form at this call site.
  void expect(const stm::LogEntry& entry, AcquireForm form) const;
  void expect(const stm::LogEntry& entry, ValueForm form) const;

  uint64_t activity() const { return activity_->id; }
  uint32_t step() const { return step_; }
  uint64_t position() const { return position_; }
  uint64_t site_offset() const;  // module-relative

 private:
  bool follow(stm::LogEntry* entry);
  uint64_t log(stm::LogEntry& entry);
  uint64_t log(stm::LogEntry& entry, const void* payload, uint32_t size_bytes);
  uint64_t logged(uint64_t position);
  uint64_t find_site_offset() const;

  Activity* activity_;
  os::CallSite site_;
  uint32_t step_ = 0;
  LiveState before_logging_ = LiveState::kFree;
  uint64_t position_ = 0;
};

}  // namespace auxin::replication
