// SPDX-License-Identifier: Apache-2.0
//
// Matching of mangled symbols against readable patterns (Itanium C++ ABI names).
#include "metamarkers/symbol_pattern.h"

#include <cxxabi.h>

#include <cstdlib>
#include <cstring>

#include "metamarkers/join_point_map.h"

namespace auxin::markers {

namespace {

std::string remove_blanks(const char* text) {
  std::string result;
  for (; *text != '\0'; ++text) {
    if (*text != ' ') result += *text;
  }
  return result;
}

// Identifiers that mangling abbreviates or never spells out.
bool abbreviated(const std::string& identifier) {
  static constexpr const char* kAbbreviated[] = {"std", "allocator", "basic_string", "string",
                                                 "istream", "ostream", "iostream"};
  for (const char* name : kAbbreviated) {
    if (identifier == name) return true;
  }
  return false;
}

}  // namespace

SymbolPattern::SymbolPattern(const std::string& pattern)
    : exact_(pattern), without_blanks_(remove_blanks(pattern.c_str())) {
  if (pattern.find("operator") != std::string::npos) return;  // spelled otherwise when mangled
  // The qualified name: up to its arguments, without what stands before it (a return type).
  std::string name = pattern.substr(0, pattern.find_first_of("(<["));
  if (const size_t blank = name.find_last_of(' '); blank != std::string::npos) {
    name.erase(0, blank + 1);
  }
  for (size_t begin = 0; begin <= name.size();) {
    size_t end = name.find("::", begin);
    if (end == std::string::npos) end = name.size();
    std::string identifier = name.substr(begin, end - begin);
    begin = end + 2;
    if (identifier.starts_with('~')) identifier.erase(0, 1);
    if (identifier.empty() || identifier.find_first_of("*?") != std::string::npos) continue;
    if (abbreviated(identifier)) continue;
    identifiers_.push_back(std::to_string(identifier.size()) + identifier);
  }
}

bool SymbolPattern::matches_symbol(const char* symbol) const {
  if (matches(exact_.c_str(), symbol)) return true;
  if (strncmp(symbol, "_Z", 2) != 0) return false;
  for (size_t index = identifiers_.size(); index-- > 0;) {  // the last is the most telling
    if (strstr(symbol, identifiers_[index].c_str()) == nullptr) return false;
  }
  int status = 0;
  char* readable = abi::__cxa_demangle(symbol, nullptr, nullptr, &status);
  if (readable == nullptr) return false;
  const bool result = matches(without_blanks_.c_str(), remove_blanks(readable).c_str());
  free(readable);
  return result;
}

}  // namespace auxin::markers
