// SPDX-License-Identifier: Apache-2.0
//
// A behavioural graph as a page: graphviz' picture of it to move about in, and its nodes and edges
// as tables.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "analysis/graph/graph.h"
#include "analysis/graph/operators.h"

namespace auxin::cli {

// A picture of a part of a graph.
struct GraphPicture {
  analysis::Graph part;
  std::string svg;      // as graphviz draws `part`
  std::string missing;  // why there is none; `svg` is empty then
};

// `remarks`: of the recordings. `operations`: what made `graph` of what was recorded. `structure`:
// what its sources say beside it; null: they are not known.
std::string graph_page(const analysis::Graph& graph, const GraphPicture& picture,
                       const std::vector<analysis::Operation>& operations,
                       const std::vector<std::string>& remarks,
                       const nlohmann::ordered_json& structure);

}  // namespace auxin::cli
