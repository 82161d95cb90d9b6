// SPDX-License-Identifier: Apache-2.0
//
// What the recordings of a base run and of a rehearsal show of why they differ: functions that
// changed places, as values. The explanation weighs them (explanation.h).
//
// Thread safety: pure functions.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "analysis/verify/behaviour.h"
#include "cli/verify/verify_report.h"

namespace auxin::cli {

// A base run's recording, read.
struct BaseBehaviour {
  analysis::Trace trace;
  analysis::Behaviour behaviour;
  analysis::IsMiddleware is_middleware;
  std::vector<std::string> application_modules;  // paths
};
// An error: the recording can't be read.
Result<BaseBehaviour> read_base(const std::string& trace_path);

using FunctionPair = std::vector<std::string>;  // two, sorted
FunctionPair pair_of(std::string one, std::string other);

// Critical sections on an unordered lock that changed places.
struct SwappedSections {
  std::string lock_kind;
  bool touches = false;          // one of them is the failing request's
};

// Work that was beside the failing request's, or on another side of it.
struct WorkBeside {
  bool ordered_between = false;  // an ordered lock keeps all such pairs apart
  bool at_rest = false;          // it is a thread's that only waited
};

// Of one failure.
struct Evidence {
  uint64_t activity = 0;         // that failed
  std::map<FunctionPair, SwappedSections> sections;
  std::string replied;           // the function of the failing work; "": none, or it did not differ
  std::string reply;             // its bytes, where it was a reply that differs
  std::map<FunctionPair, WorkBeside> beside;  // of `replied`, with whom
  std::vector<std::string> value_calls;  // that the application imports and nobody agrees on
};
Evidence find_evidence(const Failure& failure, const analysis::Trace& trace,
                       const BaseBehaviour& base);

// The pairs of sections that changed places in a rehearsal that agreed.
std::vector<FunctionPair> find_harmless(const analysis::Trace& trace, const BaseBehaviour& base);

}  // namespace auxin::cli
