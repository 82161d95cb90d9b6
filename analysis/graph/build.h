// SPDX-License-Identifier: Apache-2.0
//
// The behavioural graph of a trace, before any operator: a node for each thread, function, lock,
// condition, connection and operation.
#pragma once

#include "analysis/graph/graph.h"
#include "analysis/graph/objects.h"
#include "analysis/structure/join.h"
#include "analysis/trace/trace.h"

namespace auxin::analysis {

// `join`: of this trace and these objects with its sources; null: these are not known.
Graph build_graph(const Trace& trace, const TraceObjects& objects,
                  const StructureJoin* join = nullptr);

// With the functions that the sources have and the recording does not, as far as they mention a
// lock, and how the recorded functions may call them. `graph`: as build_graph() made it with
// `join`, before any operator.
void add_unseen(Graph& graph, const StructureJoin& join);

// "omni::GIOP_S" of "omni::GIOP_S::dispatcher()"; "" of a function in no class or namespace.
std::string class_of(const std::string& function);
// Without its arguments and template arguments' insides: "std::vector<…>::push_back".
std::string short_name(const std::string& function);

}  // namespace auxin::analysis
