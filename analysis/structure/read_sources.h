// SPDX-License-Identifier: Apache-2.0
//
// The structure of a source tree: the translation units of a compilation database, each read by a
// process of its own (structure/reader/), as many at once as there are processors.
//
// Thread safety: one thread, which blocks.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "analysis/structure/structure.h"
#include "stmemu/result.h"

namespace auxin::analysis {

struct SourcesPlan {
  std::string database;               // compile_commands.json, or a directory that has it
  std::vector<std::string> under;     // only units in these directories; empty: all
  std::string reader;                 // the program auxin-structure
  unsigned jobs = 0;                  // 0: one for each processor
  unsigned most_seconds_per_unit = 300;
  std::function<void(size_t done, size_t all)> progress;  // may be empty
  std::function<bool()> interrupted;                      // asked now and then; may be empty
};

// Units that do not parse, crash the reader or take too long are in `failures`; the rest goes on.
// An error: there is no such database, nothing in it can be read, no libclang, or an interruption.
Result<Structure> read_sources(const SourcesPlan& plan);

}  // namespace auxin::analysis
