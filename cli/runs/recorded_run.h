// SPDX-License-Identifier: Apache-2.0
//
// A run of a server that is recorded (server_run.h, recording/): the regions are drained while it
// runs, and what was recorded is kept also where server or loads fail.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "cli/runs/server_run.h"
#include "recording/region.h"
#include "stmemu/result.h"

namespace auxin::cli {

struct RecordingPlan {
  recording::Detail detail = recording::Detail::kFull;
  uint32_t chunk_count = 4096;  // 128 MiB, of which is used what the collector is behind
  uint64_t most_bytes = uint64_t{1} << 30;  // of the trace
  std::string trace_path;
  std::string snapshots_path;  // where the snapshots go (recording/snapshots.h); "": none
  // Told now and then: events so far, requests so far, bytes of the trace. May be empty.
  std::function<void(uint64_t, uint64_t, uint64_t)> progress;
};

struct RecordedRun {
  RunResult run;
  std::string failure;      // why the run was no good; "": it was. The trace is there all the same
  uint64_t events = 0, lost_events = 0;
};

// `server.directory` and `.environment` are completed. An error: nothing was recorded at all.
Result<RecordedRun> record_server(ServerPlan server, const RecordingPlan& recording);

}  // namespace auxin::cli
