// SPDX-License-Identifier: Apache-2.0
//
// The operators with which one works on a behavioural graph. Each makes a graph of a graph; they
// are chained, on the command line or in a file, one a line or divided by "|".
//
//   filter PATTERN…       only nodes that match one of them; calls through the others are bridged
//   without PATTERN…      all but those, bridged in the same way
//   nodes KIND…           only nodes of these kinds, bridged
//   edges KIND…           only edges of these kinds, and the nodes at their ends
//   from PATTERN          what matches, and everything that can be reached from there
//   to PATTERN            what matches, and everything that leads there
//   focus PATTERN [N]     what matches, and what is at most N edges away (1)
//   cut PATTERN           without what matches and what could only be reached through it
//   group class|library|thread|kind   nodes that share it become one
//   collapse              chains of functions that only call each other become one node
//   top N                 the N nodes with the most calls
//
// A PATTERN knows * and ?, and is held against a node's name; "library:…", "class:…" and "kind:…"
// against these; where the sources are known, "derived:…" against its class, or its member's, and
// what that derives from. Names with blanks are quoted: 'a b'.
//
// Source: CosmOpen's graph manipulation operators (paper 004, slide 39).
#pragma once

#include <string>
#include <vector>

#include "analysis/graph/graph.h"
#include "stmemu/result.h"

namespace auxin::analysis {

struct Operation {
  std::string name;
  std::vector<std::string> arguments;
};

// An error names the operator that is not known, or what it lacks, and where.
Result<std::vector<Operation>> parse_operations(const std::string& text);

// An error: a pattern that matches nothing (a picture of nothing helps nobody).
Result<Graph> apply(const Operation& operation, Graph graph);
Result<Graph> apply_all(const std::vector<Operation>& operations, Graph graph);

// One graph of two: what only one of them has is marked (Side), counts stand beside each other.
Graph compare(const Graph& first, const Graph& second);

// The list above, for a help text.
extern const char* const kOperatorsHelp;

}  // namespace auxin::analysis
