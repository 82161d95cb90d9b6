// SPDX-License-Identifier: Apache-2.0
//
// A behavioural graph for graphviz, and as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "analysis/graph/graph.h"
#include "stmemu/result.h"

namespace auxin::analysis {

std::string to_dot(const Graph& graph);
nlohmann::ordered_json to_json(const Graph& graph);

// Laid out and drawn by graphviz' `dot`. An error says where to get it, or that it failed.
Result<std::string> to_svg(const Graph& graph);

}  // namespace auxin::analysis
