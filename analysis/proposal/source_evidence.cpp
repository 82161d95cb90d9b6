// SPDX-License-Identifier: Apache-2.0
#include "analysis/proposal/source_evidence.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "analysis/structure/ancestry.h"

namespace auxin::analysis {
namespace {

constexpr size_t kMostNamed = 8;

// "a, b and 3 more".
std::string some_of(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMostNamed); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > kMostNamed) text += fmt::format(" and {} more", names.size() - kMostNamed);
  return text;
}

}  // namespace

void add_source_evidence(Proposal& proposal, const StructureJoin& join) {
  const Structure& structure = *join.structure;
  const FunctionIndex index(structure);
  const Ancestry ancestry(structure);
  for (ProposedJoinPoint& point : proposal.join_points) {
    const std::vector<uint32_t> found = index.named(point.function);
    if (found.empty()) continue;
    std::vector<std::string> places, objects;
    std::set<std::string> used;
    for (const uint32_t each : found) {
      const StructureFunction& function = structure.functions[each];
      places.push_back(function.place.text());
      for (const StructureMention& mention : function.mentions) {
        if (!used.insert(mention.object).second) continue;
        objects.push_back(
            fmt::format("{} ({})", mention.object, ancestry.place_of(mention.object).text()));
      }
    }
    point.evidence.push_back(fmt::format("in the sources at {}", some_of(places)));
    if (!objects.empty()) {
      point.evidence.back() += fmt::format("; it uses {}", some_of(objects));
    }
  }

  std::vector<std::string> objects, functions;
  for (const UnseenObject& object : join.unseen_objects) {
    objects.push_back(fmt::format("{} ({})", object.name, object.place.text()));
  }
  std::set<uint32_t> named;
  for (const UnseenUse& use : join.unseen_uses) {
    if (!named.insert(use.function).second) continue;
    const StructureFunction& function = structure.functions[use.function];
    functions.push_back(fmt::format("{} ({})", function.name,
                                    Place{function.place.file, use.line}.text()));
  }
  if (!objects.empty()) {
    proposal.missing.push_back(fmt::format(
        "locks that the sources have and no call was seen of: {}", some_of(objects)));
  }
  if (!functions.empty()) {
    proposal.missing.push_back(fmt::format(
        "functions of the sources that use locks and were not seen to: {}", some_of(functions)));
  }
}

}  // namespace auxin::analysis
