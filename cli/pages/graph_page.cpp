// SPDX-License-Identifier: Apache-2.0
#include "cli/pages/graph_page.h"

#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <tuple>

#include "analysis/graph/dot.h"
#include "cli/pages/page.h"

namespace auxin::cli {
namespace {

using Json = nlohmann::ordered_json;
using analysis::Graph;
using analysis::Node;

// As one would write it on the command line.
std::string text_of(const analysis::Operation& operation) {
  std::string text = operation.name;
  for (const std::string& argument : operation.arguments) {
    const bool blanks = argument.find_first_of(" |\t") != std::string::npos;
    text += blanks ? " '" + argument + "'" : " " + argument;
  }
  return text;
}

auto identity_of(const Node& node) {
  return std::tie(node.kind, node.name, node.library, node.class_name);
}

// For each node of the part its number in the whole. Nodes that look the same are taken in order.
Json numbers_in(const Graph& whole, const Graph& part) {
  using Identity = decltype(identity_of(whole.nodes[0]));
  std::map<Identity, std::deque<size_t>> numbers;
  for (size_t i = 0; i < whole.nodes.size(); ++i) {
    numbers[identity_of(whole.nodes[i])].push_back(i);
  }
  Json result = Json::array();
  for (const Node& node : part.nodes) {
    const auto there = numbers.find(identity_of(node));
    if (there == numbers.end() || there->second.empty()) {
      result.push_back(nullptr);
      continue;
    }
    result.push_back(there->second.front());
    there->second.pop_front();
  }
  return result;
}

// Without what stands before the drawing itself, which names the address of a document type.
std::string_view drawing_in(std::string_view svg) {
  const size_t begin = svg.find("<svg");
  return begin == std::string_view::npos ? svg : svg.substr(begin);
}

}  // namespace

std::string graph_page(const Graph& graph, const GraphPicture& picture,
                       const std::vector<analysis::Operation>& operations,
                       const std::vector<std::string>& remarks, const Json& structure) {
  Json data = analysis::to_json(graph);
  data["remarks"] = remarks;
  data["structure"] = structure;
  data["operations"] = Json::array();
  for (const analysis::Operation& operation : operations) {
    data["operations"].push_back(text_of(operation));
  }
  Json ends = Json::array();
  for (const analysis::Edge& edge : picture.part.edges) ends.push_back({edge.from, edge.to});
  data["picture"] = {{"svg", drawing_in(picture.svg)},
                     {"missing", picture.missing},
                     {"nodes", numbers_in(graph, picture.part)},
                     {"edges", std::move(ends)}};
  return to_page({"auxin discover: " + graph.title,
                  {"shared.css", "graph.css"},
                  {"shared.js", "table.js", "graph_picture.js", "graph.js"},
                  "graph.html"},
                 data);
}

}  // namespace auxin::cli
