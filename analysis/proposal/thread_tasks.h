// SPDX-License-Identifier: Apache-2.0
//
// How the middleware comes by its threads: which of its functions make them, and through which it
// hands them work.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/proposal/layers.h"
#include "analysis/proposal/linkage.h"
#include "analysis/trace/trace.h"

namespace auxin::analysis {

struct ThreadMaker {
  std::string symbol;    // the innermost function of the middleware around pthread_create
  uint64_t threads = 0;  // that it made
  std::string queue;     // calls it, and wakes a thread that waits; "": there is none
  uint64_t wake_ups = 0;
};

// Those that the application does not call directly, by symbol.
std::vector<ThreadMaker> find_thread_makers(const Trace& trace, const Linkage& linkage,
                                            const Layers& layers);

}  // namespace auxin::analysis
