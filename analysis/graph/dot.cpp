// SPDX-License-Identifier: Apache-2.0
#include "analysis/graph/dot.h"

#include <errno.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "analysis/graph/build.h"

namespace auxin::analysis {
namespace {

constexpr size_t kMostLabel = 70;

// In a quoted string of graphviz. Control characters have no place in a picture.
std::string dot_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (c == '\n') {
      result += "\\n";
    } else if (static_cast<unsigned char>(c) >= 0x20) {
      result += c;
    }
  }
  return result + '"';
}

const char* shape_of(NodeKind kind) {
  switch (kind) {
    case NodeKind::kThread: return "cds";
    case NodeKind::kFunction: return "box";
    case NodeKind::kLock: return "octagon";
    case NodeKind::kCondition: return "hexagon";
    case NodeKind::kConnection: return "cylinder";
    case NodeKind::kOperation: return "note";
  }
  return "box";
}

// By verdict; of two recordings, by where it occurs. The shapes and words say the same.
const char* fill_of(const Node& node) {
  if (node.side == Side::kFirst) return "#fde0c5";
  if (node.side == Side::kSecond) return "#cfe3f7";
  if (node.ordered > 0) return "#f7b6a5";
  if (node.intercepted > 0) return "#fbe3a0";
  switch (node.kind) {
    case NodeKind::kThread: return "#dfe8df";
    case NodeKind::kOperation: return "#e9e0f2";
    default: return "#f4f4f2";
  }
}

std::string shortened(std::string text) {
  // One line of a collapsed chain at a time.
  std::string result;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line = short_name(text.substr(at, end - at));
    if (line.size() > kMostLabel) {
      size_t cut = kMostLabel - 3;
      while (cut > 0 && (static_cast<unsigned char>(line[cut]) & 0xC0) == 0x80) --cut;
      line = line.substr(0, cut) + "…";
    }
    result += (at == 0 ? "" : "\n") + line;
    at = end + 1;
  }
  return result;
}

std::string label_of(const Node& node) {
  std::string label = shortened(node.name);
  if (node.members > 1) label += fmt::format(" ×{}", node.members);
  if (node.kind == NodeKind::kFunction && !node.library.empty() && node.library != node.name) {
    label += "\n" + node.library;
  }
  if (node.declared.size() == 1) {
    label += "\n" + node.declared.front();
  } else if (!node.declared.empty()) {
    label += fmt::format("\n{} or {} more", node.declared.front(), node.declared.size() - 1);
  } else if (node.place.line != 0) {
    label += "\n" + node.place.text();
  }
  if (node.side == Side::kBoth && node.other_count > 0) {
    label += fmt::format("\n{} / {}", node.count, node.other_count);
  } else if (node.count + node.other_count > 0) {
    label += fmt::format("\n{}", node.count + node.other_count);
  }
  if (node.ordered > 0) label += fmt::format(", {} ordered", node.ordered);
  return label;
}

const char* style_of(EdgeKind kind) {
  switch (kind) {
    case EdgeKind::kMakes: return "dashed";
    case EdgeKind::kSignals:
    case EdgeKind::kServes:
    case EdgeKind::kMayCall:
    case EdgeKind::kMayTake: return "dotted";
    default: return "solid";
  }
}

const char* name_of(Side side) {
  switch (side) {
    case Side::kBoth: return "both";
    case Side::kFirst: return "first";
    case Side::kSecond: return "second";
  }
  return "";
}

}  // namespace

std::string to_dot(const Graph& graph) {
  uint64_t most = 1;
  for (const Edge& edge : graph.edges) most = std::max(most, edge.count + edge.other_count);
  std::string text = "digraph behaviour {\n";
  text += fmt::format("  label={}; labelloc=t; rankdir=LR; fontname=\"sans-serif\";\n",
                      dot_string(graph.title));
  text += "  node [fontname=\"sans-serif\", fontsize=10, style=filled, color=\"#555555\"];\n"
          "  edge [fontname=\"sans-serif\", fontsize=9, color=\"#666666\"];\n";
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    text += fmt::format("  n{} [label={}, shape={}, fillcolor=\"{}\", tooltip={}];\n", i,
                        dot_string(label_of(node)), shape_of(node.kind), fill_of(node),
                        dot_string(node.name));
  }
  for (const Edge& edge : graph.edges) {
    const double weight = std::log1p(static_cast<double>(edge.count + edge.other_count)) /
                          std::log1p(static_cast<double>(most));
    const char* color = edge.side == Side::kFirst    ? "#d9822b"
                        : edge.side == Side::kSecond ? "#2b6cb0"
                                                     : "#666666";
    const bool plain = edge.kind == EdgeKind::kCalls || edge.kind == EdgeKind::kRuns;
    const std::string label =
        plain ? fmt::format("{}", edge.count + edge.other_count)
        : edge.count + edge.other_count == 0
            ? name_of(edge.kind)
            : fmt::format("{} {}", name_of(edge.kind), edge.count + edge.other_count);
    text += fmt::format("  n{} -> n{} [label={}, style={}, penwidth={:.2f}, color=\"{}\"];\n",
                        edge.from, edge.to, dot_string(label), style_of(edge.kind),
                        0.5 + 2.5 * weight, color);
  }
  for (const std::string& note : graph.notes) text += "  // " + note + "\n";
  return text + "}\n";
}

nlohmann::ordered_json to_json(const Graph& graph) {
  using Json = nlohmann::ordered_json;
  Json nodes = Json::array(), edges = Json::array();
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    nodes.push_back({{"id", i},
                     {"kind", name_of(node.kind)},
                     {"name", node.name},
                     {"library", node.library},
                     {"class", node.class_name},
                     {"members", node.members},
                     {"count", node.count},
                     {"intercepted", node.intercepted},
                     {"ordered", node.ordered},
                     {"side", name_of(node.side)},
                     {"other_count", node.other_count}});
    if (node.place.line != 0) {
      nodes.back()["place"] = {{"file", node.place.file}, {"line", node.place.line}};
    }
    if (!node.declared.empty()) nodes.back()["declared"] = node.declared;
    if (!node.ancestors.empty()) nodes.back()["ancestors"] = node.ancestors;
  }
  for (const Edge& edge : graph.edges) {
    edges.push_back({{"from", edge.from},
                     {"to", edge.to},
                     {"kind", name_of(edge.kind)},
                     {"count", edge.count},
                     {"side", name_of(edge.side)},
                     {"other_count", edge.other_count}});
  }
  return {{"schema", 1},
          {"title", graph.title},
          {"nodes", std::move(nodes)},
          {"edges", std::move(edges)},
          {"notes", graph.notes}};
}

// Through two files: graphviz reads all before it writes.
Result<std::string> to_svg(const Graph& graph) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  std::string directory = fs::temp_directory_path(ignored).string() + "/auxin-svg-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) {
    return Error{fmt::format("{}: {}", directory, strerrordesc_np(errno))};
  }
  const std::string in = directory + "/a.dot", out = directory + "/a.svg";
  std::ofstream(in) << to_dot(graph);
  const pid_t pid = fork();
  if (pid == 0) {
    execlp("dot", "dot", "-Tsvg", "-o", out.c_str(), in.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  std::string svg;
  if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    std::ifstream file(out);
    svg.assign(std::istreambuf_iterator<char>(file), {});
  }
  fs::remove_all(directory, ignored);
  if (!svg.empty()) return svg;
  if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 127) {
    return Error{"pictures are drawn by `dot`, which is not installed; apt install graphviz, or "
                 "write the graph with --dot"};
  }
  return Error{fmt::format("`dot` could not draw the graph ({} nodes); reduce it first, for "
                           "instance with --op 'group class | top 100'",
                           graph.nodes.size())};
}

}  // namespace auxin::analysis
