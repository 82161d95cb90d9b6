// SPDX-License-Identifier: Apache-2.0
#include "analysis/structure/call_graph.h"

#include <set>

namespace auxin::analysis {

CallGraph::CallGraph(const Structure& structure) : structure_(structure) {
  for (uint32_t i = 0; i < structure.functions.size(); ++i) {
    const StructureFunction& it = structure.functions[i];
    by_key_[it.key].push_back(i);
    for (const std::string& overridden : it.overrides) overriders_[overridden].push_back(i);
    const bool destructor = it.name.find('~') != it.name.npos;
    if (!it.class_key.empty() && (it.is_virtual || it.is_constructor || destructor)) {
      of_class_[it.class_key].push_back(i);
    }
  }
}

// An override may be overridden again.
void CallGraph::add_overrides(const std::string& key, std::vector<uint32_t>& to) const {
  std::set<std::string> seen = {key};
  std::vector<std::string> keys = {key};
  while (!keys.empty()) {
    const auto found = overriders_.find(keys.back());
    keys.pop_back();
    if (found == overriders_.end()) continue;
    for (const uint32_t each : found->second) {
      to.push_back(each);
      if (seen.insert(structure_.functions[each].key).second) {
        keys.push_back(structure_.functions[each].key);
      }
    }
  }
}

std::vector<uint32_t> CallGraph::callees(uint32_t function) const {
  std::vector<uint32_t> result;
  const auto append = [&](const auto& map, const std::string& key) {
    const auto found = map.find(key);
    if (found != map.end()) result.insert(result.end(), found->second.begin(), found->second.end());
  };
  for (const StructureCall& call : structure_.functions[function].calls) {
    append(by_key_, call.key);
    append(of_class_, call.key);
    if (call.is_virtual) add_overrides(call.key, result);
  }
  return result;
}

std::vector<uint32_t> CallGraph::direct_callees(uint32_t function) const {
  std::vector<uint32_t> result;
  for (const StructureCall& call : structure_.functions[function].calls) {
    const auto found = by_key_.find(call.key);
    if (call.is_virtual || found == by_key_.end()) continue;
    result.insert(result.end(), found->second.begin(), found->second.end());
  }
  return result;
}

std::vector<bool> CallGraph::reachable(const std::vector<uint32_t>& from) const {
  std::vector<bool> marks(structure_.functions.size());
  std::set<std::string> classes;
  std::vector<uint32_t> front;
  const auto mark = [&](uint32_t function) {
    if (marks[function]) return;
    marks[function] = true;
    front.push_back(function);
  };
  for (const uint32_t each : from) mark(each);
  while (!front.empty()) {
    const uint32_t at = front.back();
    front.pop_back();
    for (const uint32_t next : callees(at)) mark(next);
    // Who is in a method has an object: a library may call its virtual methods.
    const std::string& key = structure_.functions[at].class_key;
    if (key.empty() || !classes.insert(key).second) continue;
    const auto methods = of_class_.find(key);
    if (methods == of_class_.end()) continue;
    for (const uint32_t method : methods->second) mark(method);
  }
  return marks;
}

}  // namespace auxin::analysis
