// SPDX-License-Identifier: Apache-2.0
//
// The behavioural graph: what a recorded process is made of, and who does what to whom.
//
//   thread ──runs──▶ function ──calls──▶ function ──takes──▶ lock
//                       │                   ├──signals──▶ condition
//                       ├──makes──▶ thread  └──receives, sends──▶ connection
//                       └──serves──▶ operation
//
// A node stands for one thing, or, once an operator has grouped, for many (Node::members).
// Operators (operators.h) make a graph from a graph; nodes and edges are in no particular order.
//
// Thread safety: a value. Source: CosmOpen (paper 004, slides 29, 39, 40).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/structure/place.h"

namespace auxin::analysis {

enum class NodeKind : uint8_t { kThread, kFunction, kLock, kCondition, kConnection, kOperation };
enum class EdgeKind : uint8_t {
  kRuns, kCalls, kTakes, kSignals, kMakes, kReceives, kSends, kServes,
  kMayCall, kMayTake  // the sources say so, and the run did not come by it
};

const char* name_of(NodeKind kind);
const char* name_of(EdgeKind kind);
bool parse(std::string_view text, NodeKind* kind);
bool parse(std::string_view text, EdgeKind* kind);

// Where something occurs, of two recordings that are compared.
enum class Side : uint8_t { kBoth, kFirst, kSecond };

struct Node {
  NodeKind kind = NodeKind::kFunction;
  std::string name;        // function with its arguments; "mutex of F #2"; operation
  std::string library;     // function: its object's file name; otherwise of who made it
  std::string class_name;  // function: what stands before the last "::"; "" none
  uint64_t members = 1;    // things that it stands for
  uint64_t count = 0;      // calls that were made in it, or to it
  uint64_t ordered = 0;    // of these
  uint64_t intercepted = 0;
  Side side = Side::kBoth;
  uint64_t other_count = 0;  // in the second recording, where two are compared

  // Where the sources are known (structure/join.h):
  Place place;                         // function: where it is defined; lock: declared
  std::vector<std::string> declared;   // lock, condition: the members or variables it can be
  std::vector<std::string> ancestors;  // its class, or its member's, and what that derives from
};

struct Edge {
  uint32_t from = 0, to = 0;  // nodes
  EdgeKind kind = EdgeKind::kCalls;
  uint64_t count = 0;
  Side side = Side::kBoth;
  uint64_t other_count = 0;
};

struct Graph {
  std::string title;
  std::vector<Node> nodes;
  std::vector<Edge> edges;
  std::vector<std::string> notes;  // what operators left out
};

}  // namespace auxin::analysis
