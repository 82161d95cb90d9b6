// SPDX-License-Identifier: Apache-2.0
#include "cli/map_proposal.h"

#include <fmt/format.h>

#include "analysis/graph/build.h"
#include "cli/text_table.h"

namespace auxin::cli {
namespace {

std::string first(const std::vector<std::string>& sentences) {
  return sentences.empty() ? "" : sentences.front();
}

std::string patterns(const std::vector<analysis::LayerFinding>& findings) {
  std::string text;
  for (const analysis::LayerFinding& finding : findings)
    text += (text.empty() ? "" : ", ") + finding.pattern;
  return text;
}

}  // namespace

std::string to_text(const analysis::Proposal& proposal, const std::string& written_to) {
  std::string text = fmt::format("{}  {} join points for {}, written to {}\n\n", proposal.command,
                                 proposal.join_points.size(), proposal.soname, written_to);
  text += "  middleware  " + patterns(proposal.layers.infrastructure) + "\n";
  text += "  conduits    " + patterns(proposal.layers.conduits) + "\n\n";
  TextTable table("lll");
  table.add({"role", "function", "evidence"});
  for (const analysis::ProposedJoinPoint& point : proposal.join_points)
    table.add({point.role, analysis::short_name(point.function), first(point.evidence)});
  text += table.text();
  if (!proposal.rejected.empty()) {
    TextTable rejected("ll");
    rejected.add({"left out", "because it"});
    for (const analysis::RejectedCandidate& candidate : proposal.rejected)
      rejected.add({analysis::short_name(candidate.function), candidate.reason});
    text += "\n" + rejected.text();
  }
  for (const std::string& what : proposal.missing) text += "\n  not found: " + what;
  if (!proposal.missing.empty()) text += "\n";
  return text;
}

Json to_json(const analysis::Proposal& proposal) {
  Json points = Json::array();
  for (const analysis::ProposedJoinPoint& point : proposal.join_points) {
    points.push_back({{"name", point.name},
                      {"role", point.role},
                      {"function", point.function},
                      {"library", point.library},
                      {"optional", point.optional},
                      {"evidence", point.evidence}});
  }
  Json rejected = Json::array();
  for (const analysis::RejectedCandidate& candidate : proposal.rejected) {
    rejected.push_back({{"function", candidate.function},
                        {"library", candidate.library},
                        {"reason", candidate.reason}});
  }
  const auto layers = [](const std::vector<analysis::LayerFinding>& findings) {
    Json list = Json::array();
    for (const analysis::LayerFinding& finding : findings)
      list.push_back({{"library", finding.pattern}, {"evidence", finding.evidence}});
    return list;
  };
  Json json = {{"name", proposal.name}, {"soname", proposal.soname}};
  json["infrastructure"] = layers(proposal.layers.infrastructure);
  json["conduit"] = layers(proposal.layers.conduits);
  json["join_points"] = std::move(points);
  json["left_out"] = std::move(rejected);
  json["missing"] = proposal.missing;
  return json;
}

}  // namespace auxin::cli
