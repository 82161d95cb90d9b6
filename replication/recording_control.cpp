// SPDX-License-Identifier: Apache-2.0
#include "replication/recording_control.h"

#include <stdlib.h>
#include <string.h>

#include <algorithm>

#include "libmeta_req/orb_binding.h"
#include "recording/recorder.h"
#include "replication/activity.h"
#include "replication/environment.h"
#include "replication/footprint.h"
#include "replication/futex.h"
#include "replication/replica.h"

namespace auxin::replication {
namespace {

constexpr long kDefaultChunks = 1024;
constexpr uint32_t kLiveChunks = 2048;

const recording::Context kContext = {[] { return current_activity()->id; }, req::operation_of};

void say(const char* text) {
  raw_syscall(SYS_write, 2, reinterpret_cast<long>(text), static_cast<long>(strlen(text)));
}

void end_live_recording() {
  recording::end_recording();
  take_unused_hooks_out();
}

}  // namespace

void record_from_the_start() {
  const char* directory = getenv(kRecordVariable);
  if (directory == nullptr || *directory == '\0' || recording::is_recording()) return;
  const char* detail = getenv(kRecordDetailVariable);
  const char* chunks = getenv(kRecordChunksVariable);
  const char* snapshots = getenv(kRecordSnapshotsVariable);
  const bool count = detail != nullptr && strcmp(detail, "count") == 0;
  const long wanted = chunks != nullptr ? atol(chunks) : kDefaultChunks;
  const recording::Plan plan = {
      directory, count ? recording::Detail::kCount : recording::Detail::kFull,
      static_cast<uint32_t>(std::clamp(wanted, 16L, 1L << 20)),
      snapshots != nullptr && strcmp(snapshots, "1") == 0};
  char error[600];
  if (recording::begin_recording(plan, kContext, error, sizeof error)) return;
  say("auxin: ");
  say(error);
  say("\n");
}

void look_at_recording_request() {
  static uint64_t served = 0;   // the request that is, or was, followed
  static bool live = false;
  GroupControl& control = replica->control();
  const uint64_t until_ns = control.record_until_ns.load(std::memory_order_acquire);
  const bool wanted = until_ns != 0 && monotonic_ns() < until_ns;
  if (live && (!wanted || until_ns != served || recording::recording_is_to_end())) {
    live = false;
    end_live_recording();
    return;
  }
  if (!wanted || until_ns == served || recording::is_recording()) return;
  if (replica->mode() != Mode::kOff && !replica->leads()) return;
  served = until_ns;
  char directory[sizeof control.record_directory];
  memcpy(directory, control.record_directory, sizeof directory);
  directory[sizeof directory - 1] = '\0';
  char error[600];
  // What goes wrong the command sees: no region appears.
  live = recording::begin_recording({directory, recording::Detail::kFull, kLiveChunks}, kContext,
                                    error, sizeof error);
}

}  // namespace auxin::replication
