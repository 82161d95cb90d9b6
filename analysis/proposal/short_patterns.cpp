// SPDX-License-Identifier: Apache-2.0
#include "analysis/proposal/short_patterns.h"

#include "metamarkers/symbol_pattern.h"

namespace auxin::analysis {
namespace {

std::vector<std::string> matched(const std::string& pattern,
                                 const std::vector<std::string>& symbols) {
  const markers::SymbolPattern compiled(pattern);
  std::vector<std::string> result;
  for (const std::string& symbol : symbols) {
    if (compiled.matches_symbol(symbol.c_str())) result.push_back(symbol);
  }
  return result;
}

// The forms with fewer and fewer arguments, the longest first: "f(a, *)", "f(*)".
std::vector<std::string> shorter_forms(const std::string& function) {
  std::vector<std::string> forms;
  const size_t close = function.rfind(')');
  if (close == function.npos) return forms;
  const std::string behind = function.substr(close);  // ") const"
  int depth = 0;
  for (size_t at = close; at-- > 0;) {
    const char c = function[at];
    if (c == '>' || c == ')' || c == ']') ++depth;
    const bool opens = c == '<' || c == '(' || c == '[';
    if (depth == 0 && c == ',') forms.push_back(function.substr(0, at) + ", *" + behind);
    if (depth == 0 && c == '(') {
      if (at + 1 < close) forms.push_back(function.substr(0, at + 1) + "*" + behind);
      return forms;
    }
    if (opens) --depth;
  }
  return {};
}

}  // namespace

std::string short_pattern(const std::string& function, const std::vector<std::string>& symbols,
                          size_t room) {
  if (function.size() <= room) return function;
  const std::vector<std::string> meant = matched(function, symbols);
  if (meant.empty()) return function;
  for (const std::string& form : shorter_forms(function)) {
    if (form.size() <= room && matched(form, symbols) == meant) return form;
  }
  return function;
}

}  // namespace auxin::analysis
