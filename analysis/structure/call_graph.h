// SPDX-License-Identifier: Apache-2.0
//
// Which functions of a structure can be called from which, as far as the sources say: through
// calls, overrides of virtual functions, functions that are named and may be called later, and
// classes that are named and may be constructed.
//
// Thread safety: immutable once made. The structure must outlive it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "analysis/structure/structure.h"

namespace auxin::analysis {

class CallGraph {
 public:
  explicit CallGraph(const Structure& structure);

  // What `function` may call next.
  std::vector<uint32_t> callees(uint32_t function) const;
  // Only what it calls by name: what a compiler may put into it.
  std::vector<uint32_t> direct_callees(uint32_t function) const;
  // Per function: it is one of `from`, or can be reached from them.
  std::vector<bool> reachable(const std::vector<uint32_t>& from) const;

 private:
  void add_overrides(const std::string& key, std::vector<uint32_t>& to) const;

  const Structure& structure_;
  std::map<std::string, std::vector<uint32_t>> by_key_, overriders_;
  // Of a class: what is called for whoever has an object of it.
  std::map<std::string, std::vector<uint32_t>> of_class_;
};

}  // namespace auxin::analysis
