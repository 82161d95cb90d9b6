// SPDX-License-Identifier: Apache-2.0
//
// Where a middleware keeps what a binding needs of it (the [offsets] of a map), from snapshots of
// its objects and what is known of the same requests from outside: the request id in the message
// that came, and the descriptor that it came by. An offset is taken where nearly all snapshots
// agree on it, over several connections and ids.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/proposal/snapshot_file.h"
#include "analysis/trace/trace.h"

namespace auxin::analysis {

struct FoundOffset {
  std::string name;      // "giop_s.request_id"
  int64_t value = 0;     // bytes
  std::string evidence;
};

struct FoundOffsets {
  std::vector<FoundOffset> offsets;
  std::string output_begins;          // of the candidates, the join point that is one; "": none
  std::vector<std::string> missing;   // sentences
};

// `trace`: the recording that the snapshots were taken in. `task_class`: whose tasks serve requests
// ("omni::giopWorker"); "": not known.
FoundOffsets find_offsets(const Trace& trace, const std::vector<Snapshot>& snapshots,
                          const std::string& task_class);

// The snapshots' join points in the provisional map.
inline constexpr char kOutputCandidate[] = "output-";  // and a number
inline constexpr char kUpcallName[] = "upcall";
inline constexpr char kTaskName[] = "middleware-task";

}  // namespace auxin::analysis
