// SPDX-License-Identifier: Apache-2.0
#include "analysis/structure/function_index.h"

#include <algorithm>
#include <string_view>

namespace auxin::analysis {
namespace {

constexpr std::string_view kAnonymous = "(anonymous namespace)";

std::string without_blanks(const std::string& text) {
  std::string result;
  std::copy_if(text.begin(), text.end(), std::back_inserter(result),
               [](char c) { return c != ' '; });
  return result;
}

bool is_operator(std::string_view name) {
  return name.starts_with("operator") && name.size() > 8 &&
         std::isalnum(static_cast<unsigned char>(name[8])) == 0 && name[8] != '_';
}

// One name between two "::": without template arguments, arguments and what stands behind them.
std::string part_of(std::string_view text) {
  if (text.starts_with("{lambda(") || text.starts_with(kAnonymous) || text.starts_with("{")) {
    return std::string(text);
  }
  if (is_operator(text)) {
    // "operator<<(std::ostream&)", "operator()(int)": the arguments begin at the last "(" group.
    const size_t call = text.find('(', text.starts_with("operator()") ? 10 : 8);
    return std::string(text.substr(0, call));
  }
  return std::string(text.substr(0, text.find_first_of("<(")));
}

// The parts between "::" that stand in no brackets. A blank in no brackets ends a result type:
// what stood before it goes.
std::vector<std::string> parts_of(std::string_view name) {
  std::vector<std::string> parts;
  size_t begin = 0;
  int depth = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    const std::string_view part = name.substr(begin, i - begin);
    const char c = name[i];
    const bool in_operator = is_operator(name.substr(begin)) && i < begin + 11 && depth == 0;
    if (in_operator && (c == '<' || c == '>' || c == '-' || c == '=')) continue;
    if (c == '(' || c == '<' || c == '{' || c == '[') ++depth;
    if (c == ')' || c == '>' || c == '}' || c == ']') --depth;
    if (depth != 0) continue;
    if (c == ':' && i + 1 < name.size() && name[i + 1] == ':') {
      parts.push_back(part_of(part));
      begin = i + 2;
      ++i;
    } else if (c == ' ' && part.find('(') == part.npos && !part.starts_with("operator")) {
      parts.clear();
      begin = i + 1;
    }
  }
  parts.push_back(part_of(name.substr(begin)));
  return parts;
}

}  // namespace

std::string name_without_arguments(const std::string& demangled) {
  std::string_view name = demangled;
  for (const std::string_view before : {"virtual thunk to ", "non-virtual thunk to "}) {
    if (name.starts_with(before)) name.remove_prefix(before.size());
  }
  name = name.substr(0, name.find(" [clone"));
  std::string result;
  bool in_lambda = false;
  for (const std::string& part : parts_of(name)) {
    // What a lambda is called by says nothing more.
    const bool call = in_lambda && (part.starts_with("operator") || part == "_FUN");
    in_lambda = part.starts_with("{lambda(");
    if (!call) result += (result.empty() ? "" : "::") + part;
  }
  return result;
}

FunctionIndex::FunctionIndex(const Structure& structure) : structure_(structure) {
  for (uint32_t i = 0; i < structure.functions.size(); ++i) {
    const StructureFunction& function = structure.functions[i];
    for (const std::string& symbol : function.symbols) by_symbol_[symbol].push_back(i);
    by_name_[without_blanks(function.name)].push_back(i);
  }
}

std::vector<uint32_t> FunctionIndex::named(const std::string& demangled) const {
  const auto found = by_name_.find(without_blanks(name_without_arguments(demangled)));
  return found == by_name_.end() ? std::vector<uint32_t>{} : found->second;
}

std::vector<uint32_t> FunctionIndex::find(const std::string& symbol,
                                          const std::string& demangled) const {
  if (symbol.empty() && demangled.empty()) return {};
  // "f.part.0", "f.constprop.0", "f.cold": parts and copies of f.
  const auto by_symbol = by_symbol_.find(symbol.substr(0, symbol.find('.', 1)));
  if (by_symbol != by_symbol_.end()) return by_symbol->second;
  const std::string name = without_blanks(name_without_arguments(demangled));
  if (const auto by_name = by_name_.find(name); by_name != by_name_.end()) {
    // Functions with a symbol would have been found by it, but for thunks.
    std::vector<uint32_t> patterns;
    for (const uint32_t each : by_name->second) {
      if (structure_.functions[each].symbols.empty()) patterns.push_back(each);
    }
    if (!patterns.empty()) return {patterns.front()};
    if (demangled.find("thunk to ") != demangled.npos && by_name->second.size() == 1) {
      return by_name->second;
    }
    return {};
  }
  // A lambda whose parameters are written otherwise: the only one there, or the function around it.
  const size_t lambda = name.rfind("::{lambda(");
  if (lambda == name.npos) return {};
  const std::string outer = name.substr(0, lambda);
  std::vector<uint32_t> inside;
  for (auto it = by_name_.lower_bound(outer + "::{lambda("); it != by_name_.end(); ++it) {
    if (!it->first.starts_with(outer + "::{lambda(")) break;
    if (it->first.find("::{", outer.size() + 3) == std::string::npos) {
      inside.insert(inside.end(), it->second.begin(), it->second.end());
    }
  }
  if (inside.size() == 1) return inside;
  const auto around = by_name_.find(outer);
  return around != by_name_.end() && around->second.size() == 1 ? around->second
                                                                : std::vector<uint32_t>{};
}

}  // namespace auxin::analysis
