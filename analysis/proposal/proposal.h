// SPDX-License-Identifier: Apache-2.0
//
// A proposed join-point map: what a recording without any map says about a middleware, each part
// with its evidence, and what it does not say. maps/FORMAT.md explains roles and modules.
#pragma once

#include <string>
#include <vector>

#include "analysis/proposal/layers.h"
#include "analysis/proposal/offsets.h"
#include "analysis/trace/trace.h"
#include "stmemu/result.h"

namespace auxin::analysis {

struct ProposedJoinPoint {
  std::string name, role;
  std::string function;              // demangled, as a pattern of the map
  std::string library;               // pattern
  bool optional = false;
  bool follower_skips = false;       // and the caller gets skip_result
  int64_t skip_result = 0;
  std::vector<std::string> evidence;  // sentences
};

// A function that was looked at and left out.
struct RejectedCandidate {
  std::string function, library, reason;
};

struct Proposal {
  std::string name;                   // of the map: the middleware's library, without "lib"
  std::string soname;                 // of the library to match
  std::string command;                // what was recorded
  Layers layers;
  std::vector<ProposedJoinPoint> join_points;
  std::vector<FoundOffset> offsets;
  std::vector<RejectedCandidate> rejected;
  std::vector<std::string> missing;   // what a map needs and the recording does not show

  // For the second run, which looks into objects: what is called between a servant's return and its
  // answer, under the names that find_offsets() knows, and the class whose tasks serve requests.
  std::vector<ProposedJoinPoint> output_candidates;
  std::string task_class;
};

// An error: the recording shows no request; the sentence says what to do.
Result<Proposal> propose_map(const Trace& trace);

// With what a second run found: `found` is of a recording with a map that to_map_text() made
// with the candidates.
void add_offsets(Proposal& proposal, const FoundOffsets& found, const Trace& trace);

// The map as TOML, its evidence as comments. It passes the reader of maps.
std::string to_map_text(const Proposal& proposal, bool with_candidates = false);

}  // namespace auxin::analysis
