// SPDX-License-Identifier: Apache-2.0
//
// A compilation database: compile_commands.json, as CMake, Meson, ninja and bear write it.
//
// Thread safety: functions without state.
#pragma once

#include <string>
#include <vector>

#include "analysis/structure/structure.h"
#include "stmemu/result.h"

namespace auxin::analysis {

struct CompiledUnit {
  std::string file, directory;         // absolute
  bool cpp_driver = false;
  std::vector<std::string> arguments;  // for reading it; without the file
};

struct CompileCommands {
  std::string path;
  std::vector<CompiledUnit> units;         // each file once
  std::vector<StructureFailure> failures;  // units that cannot be read
  std::vector<std::string> remarks;        // on the database, as sentences
};

// `path`: the file, or a directory with a compile_commands.json. `under`: only units in these
// directories; empty: all. An error: no such file, no database, none of its units is left. What is
// wrong with one entry is a remark, and the others are read.
Result<CompileCommands> read_compile_commands(const std::string& path,
                                              const std::vector<std::string>& under);

// `origin`: the file that `text` is of; what is relative is so to its directory.
Result<CompileCommands> parse_compile_commands(const std::string& text, const std::string& origin,
                                               const std::vector<std::string>& under);

}  // namespace auxin::analysis
