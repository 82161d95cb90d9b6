// SPDX-License-Identifier: Apache-2.0
//
// A function pattern of a join-point map, made ready to be compared with thousands of symbols: most
// are rejected by one search for an identifier in its mangled form, before anything is demangled.
//
// Thread safety: immutable after construction.
#pragma once

#include <string>
#include <vector>

namespace auxin::markers {

class SymbolPattern {
 public:
  // `pattern`: a mangled or demangled name, with * and ? as wildcards; blanks don't count.
  explicit SymbolPattern(const std::string& pattern);
  bool matches_symbol(const char* symbol) const;

 private:
  std::string exact_;                     // as given
  std::string without_blanks_;
  std::vector<std::string> identifiers_;  // "6upcall": must all occur in a mangled name
};

}  // namespace auxin::markers
