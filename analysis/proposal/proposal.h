// SPDX-License-Identifier: Apache-2.0
//
// A proposed join-point map: what a recording without any map says about a middleware, each part
// with its evidence, and what it does not say. maps/FORMAT.md explains roles and modules.
#pragma once

#include <string>
#include <vector>

#include "analysis/proposal/layers.h"
#include "analysis/trace/trace.h"
#include "stmemu/result.h"

namespace auxin::analysis {

struct ProposedJoinPoint {
  std::string name, role;
  std::string function;              // demangled, as a pattern of the map
  std::string library;               // pattern
  bool optional = false;
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
  std::vector<RejectedCandidate> rejected;
  std::vector<std::string> missing;   // what a map needs and the recording does not show
};

// An error: the recording shows no request; the sentence says what to do.
Result<Proposal> propose_map(const Trace& trace);

// The map as TOML, its evidence as comments. It passes the reader of maps.
std::string to_map_text(const Proposal& proposal);

}  // namespace auxin::analysis
