// SPDX-License-Identifier: Apache-2.0
#include "replication/saver.h"

#include <stdio.h>
#include <string.h>

#include "checkpoint/process/process_image.h"
#include "libmeta_os/guard.h"
#include "replication/connection.h"
#include "replication/futex.h"
#include "replication/own_thread.h"
#include "replication/rejoin.h"
#include "replication/replay.h"
#include "replication/replica.h"

namespace auxin::replication {
namespace {

using checkpoint::AtStop;
using checkpoint::SaveOutcome;

constexpr uint64_t kLookNs = 20'000'000;

AtStop stopped(uint64_t* log_position, const char** reason) {
  if (replica->mode() != Mode::kFollower ||
      replica->control().leadership.holder() == steward_number()) {
    *reason = "this replica does not follow any more";
    return AtStop::kRefuse;
  }
  // The restored process looks at these before its threads run again.
  if (!replay.lock().try_lock()) return AtStop::kAgain;
  replay.lock().unlock();
  if (!robust_locks_are_at_rest() || !Connection::table_is_steady()) return AtStop::kAgain;
  *log_position = replay.low();
  replica->slot().checkpoint_position.store(*log_position);
  return AtStop::kGo;
}

void take(uint64_t number) {
  ReplicaSlot& slot = replica->slot();
  char path[400];
  snprintf(path, sizeof path, "%s/%llu/0.segment", replica->control().checkpoint_directory,
           static_cast<unsigned long long>(number));
  checkpoint::SaveOptions options;
  options.path = path;
  options.stopped = stopped;
  const checkpoint::SaveResult result = checkpoint::save_process(options);
  if (result.outcome == SaveOutcome::kRestored) return;  // the slot is another one now
  const bool good = result.outcome == SaveOutcome::kSaved;
  strcpy(slot.checkpoint_fault, good ? "" : result.message);
  slot.checkpoint_bytes.store(result.size_bytes);
  slot.checkpoint_pause_ns.store(result.pause_ns);
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

void start_saver() {
  os::MetaLevel meta;
  prepare_rejoin();
  start_own_thread(saver);
}

}  // namespace auxin::replication
