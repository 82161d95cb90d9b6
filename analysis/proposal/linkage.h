// SPDX-License-Identifier: Apache-2.0
//
// How the modules of a trace hang together, from their files: which library needs which, what each
// exports, and which functions are reached through a relocation, that is, which can be join points
// without rebuilding anything (maps/FORMAT.md). A stripped file still has all of this.
//
// Thread safety: immutable after read().
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "analysis/trace/trace.h"
#include "stmemu/result.h"

namespace auxin::analysis {

struct LinkedModule {
  std::string path, file_name, soname;     // soname: "" where it has none
  std::vector<std::string> needed;         // sonames
  std::set<std::string> functions;         // that it defines and exports, by symbol
  std::set<std::string> referred;          // symbols in its relocations
  // soname, or its file's name.
  const std::string& name() const { return soname.empty() ? file_name : soname; }
};

class Linkage {
 public:
  // A module whose file is gone or is no shared object of this machine counts as one without
  // symbols; `notes` tells it.
  static Linkage read(const std::vector<TraceModule>& modules);

  // By the index of the trace's modules. kNoModule: null.
  const LinkedModule* module(uint32_t index) const;
  const std::vector<LinkedModule>& modules() const { return modules_; }
  // The module that exports the function; null: none does, or it is no function.
  const LinkedModule* owner(const std::string& symbol) const;
  // Some module reaches the exported function through a relocation.
  bool interceptable(const std::string& symbol) const;
  // By soname or file name; null: not loaded.
  const LinkedModule* find(const std::string& name) const;

  std::vector<std::string> notes;

 private:
  std::vector<LinkedModule> modules_;
  std::map<std::string, size_t> owners_;
  std::set<std::string> referred_;
};

}  // namespace auxin::analysis
