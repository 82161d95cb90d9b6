// SPDX-License-Identifier: Apache-2.0
//
// Reads a trace file into memory.
//
// A file that ends early, or is damaged somewhere, gives what stands before that, and a remark: a
// recording whose process or collector was killed is still worth looking at.
#pragma once

#include <functional>
#include <string>

#include "analysis/trace/trace.h"
#include "stmemu/result.h"

namespace auxin::analysis {

struct ReadOptions {
  bool events = true;  // false: everything but the events, which are then only counted
  // Told now and then how far it is, from 0 to 1. May be empty.
  std::function<void(double)> progress;
};

// An error: the file can't be read, is no trace, or of another version.
Result<Trace> read_trace(const std::string& path, const ReadOptions& options = {});

}  // namespace auxin::analysis
