// SPDX-License-Identifier: Apache-2.0
#include "analysis/structure/ancestry.h"

#include <algorithm>

namespace auxin::analysis {

Ancestry::Ancestry(const Structure& structure) {
  for (const StructureClass& each : structure.classes) {
    by_key_.emplace(each.key, &each);
    for (const StructureMember& member : each.members) {
      const std::string name = each.name + "::" + member.name;
      class_of_object_.emplace(name, &each);
      objects_.emplace(name, std::pair(member.place, member.synchronisation));
    }
  }
  for (const StructureVariable& variable : structure.variables) {
    objects_.emplace(variable.name, std::pair(variable.place, variable.synchronisation));
  }
}

std::vector<std::string> Ancestry::of_class(const std::string& key) const {
  std::vector<std::string> names, keys = {key};
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto found = by_key_.find(keys[i]);
    if (found == by_key_.end()) continue;
    names.push_back(found->second->name);
    for (const std::string& base : found->second->bases) {
      if (std::find(keys.begin(), keys.end(), base) == keys.end()) keys.push_back(base);
    }
  }
  return names;
}

std::vector<std::string> Ancestry::of_object(const std::string& object) const {
  const auto found = class_of_object_.find(object);
  return found == class_of_object_.end() ? std::vector<std::string>{}
                                         : of_class(found->second->key);
}

Place Ancestry::place_of(const std::string& object) const {
  const auto found = objects_.find(object);
  return found == objects_.end() ? Place{} : found->second.first;
}

SynchronisationKind Ancestry::kind_of(const std::string& object) const {
  const auto found = objects_.find(object);
  return found == objects_.end() ? SynchronisationKind::kNone : found->second.second;
}

}  // namespace auxin::analysis
