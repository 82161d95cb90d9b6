// SPDX-License-Identifier: Apache-2.0
#include "analysis/structure/structure.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace auxin::analysis {
namespace {

template <typename T, typename Identities, typename Identity>
void add_new(std::vector<T>& to, std::vector<T>& from, Identities& known, Identity identity) {
  for (T& each : from) {
    if (known.insert(identity(each)).second) to.push_back(std::move(each));
  }
}

template <typename T>
void append(std::vector<T>& to, std::vector<T>& from) {
  std::move(from.begin(), from.end(), std::back_inserter(to));
}

}  // namespace

std::string Place::text() const {
  if (file.empty()) return {};
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(line);
}

void StructureMerger::add(Structure unit) {
  add_new(merged_.classes, unit.classes, classes_,
          [](const StructureClass& it) { return Identity(it.key, it.place); });
  add_new(merged_.functions, unit.functions, functions_,
          [](const StructureFunction& it) { return Identity(it.key, it.place); });
  add_new(merged_.variables, unit.variables, variables_,
          [](const StructureVariable& it) { return Identity(it.name, it.place); });
  append(merged_.failures, unit.failures);
  append(merged_.remarks, unit.remarks);
  merged_.units += unit.units;
}

Structure StructureMerger::take() {
  const auto by_place = [](const auto& left, const auto& right) {
    return std::tie(left.place, left.name) < std::tie(right.place, right.name);
  };
  std::stable_sort(merged_.classes.begin(), merged_.classes.end(), by_place);
  std::stable_sort(merged_.functions.begin(), merged_.functions.end(), by_place);
  std::stable_sort(merged_.variables.begin(), merged_.variables.end(), by_place);
  std::sort(merged_.failures.begin(), merged_.failures.end(),
            [](const auto& left, const auto& right) { return left.file < right.file; });
  return std::move(merged_);
}

}  // namespace auxin::analysis
