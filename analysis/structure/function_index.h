// SPDX-License-Identifier: Apache-2.0
//
// Finds functions of a structure by what a recording knows of them: the linker's symbol and the
// demangled name.
//
// Thread safety: immutable once made. The structure must outlive it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "analysis/structure/structure.h"

namespace auxin::analysis {

inline constexpr uint32_t kNoFunction = ~0u;

class FunctionIndex {
 public:
  explicit FunctionIndex(const Structure& structure);

  // Several where programs that share the tree have a function of the same symbol each (`main`);
  // none where the sources have no such function, or it cannot be told which.
  std::vector<uint32_t> find(const std::string& symbol, const std::string& demangled) const;
  // All functions of this name, whatever their arguments.
  std::vector<uint32_t> named(const std::string& demangled) const;

 private:
  const Structure& structure_;
  std::map<std::string, std::vector<uint32_t>> by_symbol_, by_name_;
};

// "a::B<int>::f(long) const" as "a::B::f"; a lambda's "a::f()::{lambda(int&)#1}::operator()(int&)
// const" as "a::f::{lambda(int&)#1}": as the structure's names are, but for blanks.
std::string name_without_arguments(const std::string& demangled);

}  // namespace auxin::analysis
