// SPDX-License-Identifier: Apache-2.0
#include "analysis/graph/graph.h"

#include <iterator>

namespace auxin::analysis {
namespace {

constexpr const char* kNodeKinds[] = {"thread",    "function",   "lock",
                                      "condition", "connection", "operation"};
constexpr const char* kEdgeKinds[] = {"runs",  "calls",    "takes", "signals",
                                      "makes", "receives", "sends", "serves",
                                      "may-call", "may-take"};

template <class Kind, size_t kCount>
bool parse_in(std::string_view text, const char* const (&names)[kCount], Kind* kind) {
  for (size_t i = 0; i < kCount; ++i) {
    if (text != names[i]) continue;
    *kind = static_cast<Kind>(i);
    return true;
  }
  return false;
}

}  // namespace

const char* name_of(NodeKind kind) { return kNodeKinds[static_cast<size_t>(kind)]; }
const char* name_of(EdgeKind kind) { return kEdgeKinds[static_cast<size_t>(kind)]; }
bool parse(std::string_view text, NodeKind* kind) { return parse_in(text, kNodeKinds, kind); }
bool parse(std::string_view text, EdgeKind* kind) { return parse_in(text, kEdgeKinds, kind); }

}  // namespace auxin::analysis
