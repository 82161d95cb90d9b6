// SPDX-License-Identifier: Apache-2.0
//
// The functions of the middleware that the application calls, and what happens inside them: which
// locks they take, whether they talk to others, make threads or call the application back. Where a
// lock inside is one that requests need to be found by, the order of such calls may show in
// replies: these are the candidates for contention points (paper 004, slides 26 to 31).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "analysis/graph/objects.h"
#include "analysis/proposal/layers.h"
#include "analysis/proposal/linkage.h"
#include "analysis/trace/trace.h"

namespace auxin::analysis {

// The functions that bracket a request, by symbol; "" where one is not known.
struct Brackets {
  std::string dispatcher, request, locate, upcall;
  bool contain(const std::string& symbol) const {
    return symbol == dispatcher || symbol == request || symbol == locate || symbol == upcall;
  }
};

struct BoundaryFunction {
  std::string symbol;
  uint64_t events = 0;
  std::set<uint32_t> mutexes;     // objects that are locked inside
  std::set<uint32_t> threads;     // that passed it
  bool in_requests = false;       // an upcall was outside
  bool sends = false;             // on a connection that the process opened itself
  bool waits = false;             // on a condition
  std::set<std::string> calls_back;  // middleware functions inside it that call the application
};

struct Boundary {
  std::vector<BoundaryFunction> functions;  // by symbol
  // Mutexes that the middleware locks for a request before the application is called: what a
  // request finds is behind them.
  std::set<uint32_t> look_up_mutexes;
  std::map<uint32_t, std::set<uint32_t>> threads_of_mutex;
};

Boundary find_boundary(const Trace& trace, const TraceObjects& objects, const Linkage& linkage,
                       const Layers& layers, const Brackets& brackets);

}  // namespace auxin::analysis
