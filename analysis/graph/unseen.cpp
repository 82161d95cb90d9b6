// SPDX-License-Identifier: Apache-2.0
//
// What the run did not come by, as nodes and edges of the behavioural graph.
#include <map>
#include <set>
#include <tuple>

#include "analysis/graph/build.h"
#include "analysis/structure/ancestry.h"

namespace auxin::analysis {
namespace {

class UnseenAdder {
 public:
  UnseenAdder(Graph& graph, const StructureJoin& join)
      : graph_(graph), join_(join), ancestry_(*join.structure) {
    for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
      const Node& node = graph.nodes[i];
      if (node.kind == NodeKind::kFunction) {
        if (node.place.line != 0) at_place_.emplace(node.place, i);
      } else if (node.declared.size() == 1) {
        locks_[node.class_name].push_back(i);
      }
    }
  }

  void run() {
    for (const UnseenUse& use : join_.unseen_uses) {
      uint32_t at = ~0u;
      for (const uint32_t caller : use.called_by) at = call(at, function(caller));
      at = call(at, function(use.function));
      for (const uint32_t lock : locks(use.object)) edge(at, lock, EdgeKind::kMayTake);
    }
  }

 private:
  uint32_t call(uint32_t from, uint32_t to) {
    if (from != ~0u && from != to) edge(from, to, EdgeKind::kMayCall);
    return to;
  }

  void edge(uint32_t from, uint32_t to, EdgeKind kind) {
    if (edges_.emplace(from, to, kind).second) {
      graph_.edges.push_back({from, to, kind, 0, Side::kBoth, 0});
    }
  }

  uint32_t function(uint32_t index) {
    const StructureFunction& it = join_.structure->functions[index];
    const auto [there, is_new] =
        at_place_.emplace(it.place, static_cast<uint32_t>(graph_.nodes.size()));
    if (!is_new) return there->second;
    Node node;
    node.name = it.name;
    node.place = it.place;
    node.ancestors = ancestry_.of_class(it.class_key);
    if (!node.ancestors.empty()) node.class_name = node.ancestors.front();
    graph_.nodes.push_back(std::move(node));
    return there->second;
  }

  // The recorded ones that it is; otherwise one for what was not recorded.
  const std::vector<uint32_t>& locks(const std::string& object) {
    std::vector<uint32_t>& found = locks_[object];
    if (!found.empty()) return found;
    Node node;
    node.kind = ancestry_.kind_of(object) == SynchronisationKind::kCondition
                    ? NodeKind::kCondition
                    : NodeKind::kLock;
    node.name = object + " (not recorded)";
    node.class_name = object;
    node.place = ancestry_.place_of(object);
    node.declared = {object + " " + node.place.text()};
    node.ancestors = ancestry_.of_object(object);
    found.push_back(static_cast<uint32_t>(graph_.nodes.size()));
    graph_.nodes.push_back(std::move(node));
    return found;
  }

  Graph& graph_;
  const StructureJoin& join_;
  Ancestry ancestry_;
  std::map<Place, uint32_t> at_place_;
  std::map<std::string, std::vector<uint32_t>> locks_;
  std::set<std::tuple<uint32_t, uint32_t, EdgeKind>> edges_;
};

}  // namespace

void add_unseen(Graph& graph, const StructureJoin& join) { UnseenAdder(graph, join).run(); }

}  // namespace auxin::analysis
