// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "analysis/proposal/proposal.h"

namespace auxin::analysis {
namespace {

constexpr size_t kColumns = 100;

// As comment lines.
void comment(std::string& text, const std::string& sentence, const std::string& indent = "") {
  const std::string begin = indent + "#";
  std::string line = begin;
  size_t at = 0;
  while (at < sentence.size()) {
    size_t end = sentence.find_first_of(" \n", at);
    if (end == sentence.npos) end = sentence.size();
    const std::string word = sentence.substr(at, end - at);
    if (line.size() > begin.size() && line.size() + 1 + word.size() > kColumns) {
      text += line + "\n";
      line = begin;
    }
    line += " " + word;
    at = end + 1;
  }
  text += line + "\n";
}

std::string quoted(const std::string& value) {
  std::string text(1, '"');
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      text += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      text += c;
    }
  }
  text += '"';
  return text;
}

void list(std::string& text, const char* key, const std::vector<LayerFinding>& findings) {
  text += fmt::format("{} = [\n", key);
  for (const LayerFinding& finding : findings) {
    comment(text, finding.evidence, "  ");
    text += fmt::format("  {},\n", quoted(finding.pattern));
  }
  text += "]\n";
}

void add(std::string& text, const ProposedJoinPoint& point) {
  text += "\n";
  for (const std::string& sentence : point.evidence) comment(text, sentence);
  text += fmt::format("[[join_point]]\nname = {}\nfunction = {}\nlibrary = {}\nrole = {}\n",
                      quoted(point.name), quoted(point.function), quoted(point.library),
                      quoted(point.role));
  if (point.optional) text += "optional = true\n";
  if (point.follower_skips) {
    text += fmt::format("follower_skips = true\nskip_result = {}\n", point.skip_result);
  }
}

}  // namespace

std::string to_map_text(const Proposal& proposal, bool with_candidates) {
  std::string text;
  comment(text, fmt::format("Join points found in a recording of: {}", proposal.command));
  comment(text, "Each has its evidence. maps/FORMAT.md explains keys and roles.");
  text += fmt::format("schema = 1\nname = {}\n\n[[match]]\nsoname = {}\n\n[modules]\n",
                      quoted(proposal.name), quoted(proposal.soname));
  list(text, "infrastructure", proposal.layers.infrastructure);
  list(text, "conduit", proposal.layers.conduits);
  for (const ProposedJoinPoint& point : proposal.join_points) add(text, point);
  if (with_candidates) {
    for (const ProposedJoinPoint& point : proposal.output_candidates) add(text, point);
  }
  if (!proposal.offsets.empty()) text += "\n[offsets]\n";
  for (const FoundOffset& offset : proposal.offsets) {
    comment(text, offset.evidence);
    text += fmt::format("{} = {}\n", offset.name, offset.value);
  }
  if (!proposal.rejected.empty()) {
    text += "\n";
    comment(text, "Looked at and left out:");
    for (const RejectedCandidate& candidate : proposal.rejected)
      comment(text, fmt::format("- {}: {}", candidate.function, candidate.reason));
  }
  if (!proposal.missing.empty()) {
    text += "\n";
    comment(text, "What this recording does not show:");
    for (const std::string& what : proposal.missing) comment(text, "- " + what);
  }
  return text;
}

}  // namespace auxin::analysis
