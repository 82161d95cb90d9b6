// SPDX-License-Identifier: Apache-2.0
#include "replication/saver.h"

#include <stdio.h>
#include <string.h>

#include "checkpoint/process/process_image.h"
#include "checkpoint/process/thread_stop.h"
#include "libmeta_os/guard.h"
#include "replication/connection.h"
#include "replication/futex.h"
#include "replication/live_part.h"
#include "replication/live_waits.h"
#include "replication/own_thread.h"
#include "replication/rejoin.h"
#include "replication/replay.h"
#include "replication/replica.h"

namespace auxin::replication {
namespace {

using checkpoint::AtStop;
using checkpoint::SaveOutcome;

constexpr uint64_t kLookNs = 20'000'000;
// Part of the image.
uint64_t position_at_stop = 0;
uint64_t number_at_stop = 0;

// Of a thread that is stopped: libauxin is preloaded, so its thread-local variables stand at the
// same distance from every thread's pointer.
LiveState live_state_of(const checkpoint::ParkedThread& thread) {
  const auto own = reinterpret_cast<uint64_t>(__builtin_thread_pointer());
  const uint64_t distance = reinterpret_cast<uint64_t>(&live_state) - own;
  return reinterpret_cast<const std::atomic<LiveState>*>(thread.thread_pointer + distance)->load();
}

// Whether every thread of a leader is where it can become a follower's.
bool leader_is_steady() {
  for (uint32_t i = 0; i < checkpoint::parked_thread_count(); ++i) {
    const checkpoint::ParkedThread& thread = checkpoint::parked_thread(i);
    if (thread.state.load() != checkpoint::ParkedThread::kParked) continue;
    const LiveState state = live_state_of(thread);
    if (state == LiveState::kPublishes) return false;
    if (state == LiveState::kWaits && thread.in_call == 0) return false;
  }
  return live_waits_are_steady() && replay.is_empty();
}

AtStop stopped(uint64_t* log_position, const char** reason) {
  GroupControl& control = replica->control();
  const bool leads = replica->leads();
  if (leads ? control.phase.load() >= GroupPhase::kEnding
            : replica->mode() != Mode::kFollower ||
                  control.leadership.holder() == steward_number()) {
    *reason = leads ? "the group is ending" : "this replica does not follow any more";
    return AtStop::kRefuse;
  }
  // The restored process looks at these before its threads run again.
  if (!replay.lock().try_lock()) return AtStop::kAgain;
  replay.lock().unlock();
  if (!robust_locks_are_at_rest() || !Connection::table_is_steady()) return AtStop::kAgain;
  if (leads && !leader_is_steady()) return AtStop::kAgain;
  *log_position = leads ? replica->log().end() : replay.low();
  position_at_stop = *log_position;
  return AtStop::kGo;
}

void take(uint64_t number) {
  ReplicaSlot& slot = replica->slot();
  char path[400];
  const uint64_t base = slot.checkpoint_image.load();
  snprintf(path, sizeof path, "%s/%llu/%llu.segment", replica->control().checkpoint_directory,
           static_cast<unsigned long long>(base), static_cast<unsigned long long>(number - base));
  number_at_stop = number;
  checkpoint::SaveOptions options;
  options.base = number == base;
  options.path = (number & kOnlyLook) != 0 ? nullptr : path;
  options.stopped = stopped;
  options.owner_word = replica->control().leadership.futex_word();
  options.method = static_cast<checkpoint::TrackingMethod>(
      replica->control().settings.checkpoint_method);
  const checkpoint::SaveResult result = checkpoint::save_process(options);
  if (result.outcome == SaveOutcome::kRestored) return;  // the slot is another one now
  const bool good = result.outcome == SaveOutcome::kSaved;
  strcpy(slot.checkpoint_fault, good ? "" : result.message);
  slot.checkpoint_refused.store(result.outcome == SaveOutcome::kRefused ? 1 : 0);
  slot.checkpoint_bytes.store(result.size_bytes);
  slot.checkpoint_method.store(static_cast<uint32_t>(result.method));
  slot.checkpoint_pause_ns.store(result.pause_ns);
  slot.checkpoint_goes_on.store(checkpoint::can_save_delta() ? 1 : 0);
  slot.checkpoint_answered.store(number, std::memory_order_release);
}

void* saver(void*) {
  os::MetaLevel meta;
  name_own_thread("auxin-saver");
  for (;;) {
    ReplicaSlot& slot = replica->slot();
    const uint64_t wanted = slot.checkpoint_wanted.load(std::memory_order_acquire);
    if (wanted != slot.checkpoint_answered.load()) {
      take(wanted);
    } else {
      sleep_ns(kLookNs);
    }
  }
}

}  // namespace

uint64_t saved_number() { return number_at_stop; }

uint64_t saved_position() { return position_at_stop; }

void start_saver() {
  os::MetaLevel meta;
  prepare_rejoin();
  start_own_thread(saver);
}

}  // namespace auxin::replication
