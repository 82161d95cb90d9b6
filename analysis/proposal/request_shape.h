// SPDX-License-Identifier: Apache-2.0
//
// Where requests begin and end in a trace that was recorded without any map: from what is received
// on connections that the server accepted, and what is sent there, with the call paths of both.
//
//   dispatcher  the innermost function inside which one thread both receives and answers
//   upcall      the innermost function of the middleware that has the application's code inside
//   request     what the dispatcher calls on the way to the upcall
//   locate      what it calls where it answers without an upcall
//
// Source: paper 004, slides 19 to 25 (the reflective analysis that finds the join points).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/graph/objects.h"
#include "analysis/proposal/layers.h"
#include "analysis/proposal/linkage.h"
#include "analysis/trace/trace.h"

namespace auxin::analysis {

// A function that the evidence speaks for.
struct FunctionFinding {
  std::string symbol;     // as the linker knows it
  std::string function;   // as the demangler prints it
  std::string library;    // soname of the one that defines it
  uint64_t votes = 0, of = 0;  // in how many of how many cases it was so
};

// An answer that some thread sent on an accepted connection, and what it had received before.
struct Exchange {
  uint32_t thread = 0;
  size_t receive = 0, send = 0;  // its events there
};

// In the order of threads and events.
std::vector<Exchange> find_exchanges(const Trace& trace, const TraceObjects& objects);

// Requests that one thread receives and another answers: the functions that mostly do, and how many
// answers there were. None where nothing was answered.
struct HandOver {
  std::string received_in, answered_in;
  uint64_t answers = 0;
};
std::optional<HandOver> find_hand_over(const Trace& trace, const TraceObjects& objects);

std::optional<FunctionFinding> find_dispatcher(const Trace& trace, const Linkage& linkage,
                                               const std::vector<Exchange>& exchanges);

struct RequestShape {
  std::optional<FunctionFinding> upcall, request, locate;
};
RequestShape find_shape(const Trace& trace, const Linkage& linkage, const Layers& layers,
                        const std::vector<Exchange>& exchanges, const std::string& dispatcher);

// The position of the outermost frame of that function; nothing: it is not on the path.
std::optional<size_t> position_of(const Trace& trace, std::span<const uint32_t> path,
                                  const std::string& symbol);

}  // namespace auxin::analysis
