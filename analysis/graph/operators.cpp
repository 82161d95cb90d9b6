// SPDX-License-Identifier: Apache-2.0
#include "analysis/graph/operators.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <set>
#include <string_view>
#include <tuple>

#include "metamarkers/join_point_map.h"

namespace auxin::analysis {
namespace {

using Marks = std::vector<bool>;  // per node

bool matches_node(const Node& node, std::string_view pattern) {
  const auto after = [&](std::string_view prefix, const std::string& text) {
    return markers::matches(std::string(pattern.substr(prefix.size())).c_str(), text.c_str());
  };
  if (pattern.starts_with("library:")) return after("library:", node.library);
  if (pattern.starts_with("class:")) return after("class:", node.class_name);
  if (pattern.starts_with("derived:")) {
    return std::any_of(node.ancestors.begin(), node.ancestors.end(),
                       [&](const std::string& name) { return after("derived:", name); });
  }
  if (pattern.starts_with("kind:")) return after("kind:", name_of(node.kind));
  return after("", node.name);
}

Marks matching(const Graph& graph, const std::vector<std::string>& patterns) {
  Marks marks(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    marks[i] = std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
      return matches_node(graph.nodes[i], pattern);
    });
  }
  return marks;
}

bool any(const Marks& marks) { return std::find(marks.begin(), marks.end(), true) != marks.end(); }

// Edges out of each node, as indices.
std::vector<std::vector<uint32_t>> adjacency(const Graph& graph, bool backwards) {
  std::vector<std::vector<uint32_t>> of(graph.nodes.size());
  for (uint32_t i = 0; i < graph.edges.size(); ++i) {
    of[backwards ? graph.edges[i].to : graph.edges[i].from].push_back(i);
  }
  return of;
}

// What can be reached from the marked nodes within `steps` edges.
Marks reach(const Graph& graph, Marks marks, bool backwards, uint64_t steps,
            const Marks* not_through = nullptr) {
  const auto of = adjacency(graph, backwards);
  std::vector<uint32_t> front;
  for (uint32_t i = 0; i < marks.size(); ++i) {
    if (marks[i]) front.push_back(i);
  }
  for (; steps > 0 && !front.empty(); --steps) {
    std::vector<uint32_t> next;
    for (const uint32_t node : front) {
      for (const uint32_t edge : of[node]) {
        const uint32_t there = backwards ? graph.edges[edge].from : graph.edges[edge].to;
        if (marks[there] || (not_through != nullptr && (*not_through)[there])) continue;
        marks[there] = true;
        next.push_back(there);
      }
    }
    front = std::move(next);
  }
  return marks;
}

// Sums up edges that became one and drops loops of calls.
class EdgeSum {
 public:
  void add(uint32_t from, uint32_t to, const Edge& like) {
    if (from == to) return;
    const auto [there, is_new] = index_.emplace(std::tuple(from, to, like.kind), edges_.size());
    if (is_new) {
      edges_.push_back({from, to, like.kind, 0, like.side, 0});
    } else if (edges_[there->second].side != like.side) {
      edges_[there->second].side = Side::kBoth;
    }
    edges_[there->second].count += like.count;
    edges_[there->second].other_count += like.other_count;
  }
  std::vector<Edge> take() { return std::move(edges_); }

 private:
  std::map<std::tuple<uint32_t, uint32_t, EdgeKind>, size_t> index_;
  std::vector<Edge> edges_;
};

// Only the marked nodes. `bridged`: where a marked node leads to another through nodes that go, it
// gets an edge of the last one's kind, with the last one's count.
Graph keep(const Graph& graph, const Marks& marks, bool bridged) {
  Graph kept;
  kept.title = graph.title;
  kept.notes = graph.notes;
  std::vector<uint32_t> number(graph.nodes.size());
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
    if (!marks[i]) continue;
    number[i] = static_cast<uint32_t>(kept.nodes.size());
    kept.nodes.push_back(graph.nodes[i]);
  }
  EdgeSum edges;
  const auto of = adjacency(graph, false);
  std::vector<uint32_t> seen_for(graph.nodes.size(), ~0u);
  for (uint32_t from = 0; from < graph.nodes.size(); ++from) {
    if (!marks[from]) continue;
    std::vector<uint32_t> stack = {from};
    while (!stack.empty()) {
      const uint32_t at = stack.back();
      stack.pop_back();
      for (const uint32_t index : of[at]) {
        const Edge& edge = graph.edges[index];
        if (marks[edge.to]) {
          edges.add(number[from], number[edge.to], edge);
        } else if (bridged && seen_for[edge.to] != from) {
          seen_for[edge.to] = from;
          stack.push_back(edge.to);
        }
      }
    }
  }
  kept.edges = edges.take();
  return kept;
}

void add_new(std::vector<std::string>& to, const std::vector<std::string>& from) {
  for (const std::string& each : from) {
    if (std::find(to.begin(), to.end(), each) == to.end()) to.push_back(each);
  }
}

// Merges the nodes with the same `group`; a node's own number: it stays alone.
Graph merge(const Graph& graph, const std::vector<uint32_t>& group,
            const std::function<void(Node&, const std::vector<uint32_t>&)>& name) {
  std::map<uint32_t, std::vector<uint32_t>> members;
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) members[group[i]].push_back(i);
  Graph merged;
  merged.title = graph.title;
  merged.notes = graph.notes;
  std::vector<uint32_t> number(graph.nodes.size());
  for (const auto& [id, nodes] : members) {
    Node node = graph.nodes[nodes.front()];
    for (size_t i = 1; i < nodes.size(); ++i) {
      const Node& other = graph.nodes[nodes[i]];
      node.members += other.members;
      node.count += other.count;
      node.ordered += other.ordered;
      node.intercepted += other.intercepted;
      node.other_count += other.other_count;
      if (node.side != other.side) node.side = Side::kBoth;
      if (node.library != other.library) node.library.clear();
      if (node.place != other.place) node.place = {};
      if (node.ancestors != other.ancestors) node.ancestors.clear();
      add_new(node.declared, other.declared);
    }
    if (nodes.size() > 1) name(node, nodes);
    for (const uint32_t each : nodes) number[each] = static_cast<uint32_t>(merged.nodes.size());
    merged.nodes.push_back(std::move(node));
  }
  EdgeSum edges;
  for (const Edge& edge : graph.edges) edges.add(number[edge.from], number[edge.to], edge);
  merged.edges = edges.take();
  return merged;
}

Error nothing(const Operation& operation) {
  std::string words = operation.name;
  for (const std::string& argument : operation.arguments) words += " " + argument;
  return Error{fmt::format("'{}' matches nothing in the graph", words)};
}

Result<Graph> filter(const Operation& operation, Graph graph) {
  const Marks marks = matching(graph, operation.arguments);
  if (!any(marks)) return nothing(operation);
  return keep(graph, marks, true);
}

Result<Graph> without(const Operation& operation, Graph graph) {
  Marks marks = matching(graph, operation.arguments);
  if (!any(marks)) return nothing(operation);
  marks.flip();
  return keep(graph, marks, true);
}

Result<Graph> nodes(const Operation& operation, Graph graph) {
  Marks marks(graph.nodes.size());
  for (const std::string& argument : operation.arguments) {
    NodeKind kind{};
    if (!parse(argument, &kind)) {
      return Error{fmt::format("nodes: there is no kind '{}'; thread, function, lock, condition, "
                               "connection, operation",
                               argument)};
    }
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      if (graph.nodes[i].kind == kind) marks[i] = true;
    }
  }
  if (!any(marks)) return nothing(operation);
  return keep(graph, marks, true);
}

Result<Graph> edges(const Operation& operation, Graph graph) {
  std::set<EdgeKind> kinds;
  for (const std::string& argument : operation.arguments) {
    EdgeKind kind{};
    if (!parse(argument, &kind)) {
      return Error{fmt::format("edges: there is no kind '{}'; runs, calls, takes, signals, makes, "
                               "receives, sends, serves, may-call, may-take",
                               argument)};
    }
    kinds.insert(kind);
  }
  std::erase_if(graph.edges, [&](const Edge& edge) { return !kinds.contains(edge.kind); });
  Marks marks(graph.nodes.size());
  for (const Edge& edge : graph.edges) marks[edge.from] = marks[edge.to] = true;
  if (!any(marks)) return nothing(operation);
  return keep(graph, marks, false);
}

Result<Graph> along(const Operation& operation, Graph graph, bool backwards) {
  Marks marks = matching(graph, operation.arguments);
  if (!any(marks)) return nothing(operation);
  return keep(graph, reach(graph, std::move(marks), backwards, ~uint64_t{0}), false);
}

Result<uint64_t> number_of(const Operation& operation, size_t index, uint64_t otherwise) {
  if (index >= operation.arguments.size()) return otherwise;
  const std::string& text = operation.arguments[index];
  uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || number == 0) {
    return Error{fmt::format("{}: '{}' is not a number above 0", operation.name, text)};
  }
  return number;
}

Result<Graph> focus(const Operation& operation, Graph graph) {
  auto steps = number_of(operation, 1, 1);
  if (!steps) return Error{steps.error()};
  const Marks middle = matching(graph, {operation.arguments[0]});
  if (!any(middle)) return nothing(operation);
  Marks marks = reach(graph, middle, false, *steps);
  const Marks before = reach(graph, middle, true, *steps);
  for (size_t i = 0; i < marks.size(); ++i) marks[i] = marks[i] || before[i];
  return keep(graph, marks, false);
}

Result<Graph> cut(const Operation& operation, Graph graph) {
  const Marks gone = matching(graph, operation.arguments);
  if (!any(gone)) return nothing(operation);
  // Where nothing leads to, the walk begins.
  Marks begin(graph.nodes.size(), true);
  for (const Edge& edge : graph.edges) {
    if (edge.from != edge.to) begin[edge.to] = false;
  }
  for (size_t i = 0; i < begin.size(); ++i) begin[i] = begin[i] && !gone[i];
  return keep(graph, reach(graph, std::move(begin), false, ~uint64_t{0}, &gone), false);
}

Result<Graph> group(const Operation& operation, Graph graph) {
  const std::string& by = operation.arguments[0];
  std::map<std::string, uint32_t> first;
  std::vector<uint32_t> groups(graph.nodes.size());
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    std::string key;
    const bool function = node.kind == NodeKind::kFunction;
    if (by == "library") {
      if (function) key = node.library;
    } else if (by == "class") {
      key = node.class_name;
    } else if (by == "thread") {
      if (node.kind == NodeKind::kThread) key = node.class_name;
    } else if (by == "kind") {
      key = "all";
    } else {
      return Error{fmt::format("group: there is no '{}'; class, library, thread, kind", by)};
    }
    groups[i] = key.empty()
                    ? i
                    : first.emplace(std::string(name_of(node.kind)) + '\0' + key, i).first->second;
  }
  return merge(graph, groups, [&](Node& node, const std::vector<uint32_t>&) {
    if (by == "library") {
      node.name = node.library;
      node.class_name.clear();
    } else if (by == "kind") {
      node.name = name_of(node.kind);
      node.class_name.clear();
    } else {
      node.name = node.class_name;
    }
  });
}

// A function whose only way in is from one function, whose only way out it is, goes into it.
Result<Graph> collapse(const Operation&, Graph graph) {
  std::vector<uint32_t> in(graph.nodes.size()), out(graph.nodes.size());
  for (const Edge& edge : graph.edges) {
    ++in[edge.to];
    ++out[edge.from];
  }
  std::vector<uint32_t> next(graph.nodes.size(), ~0u), head(graph.nodes.size());
  for (uint32_t i = 0; i < head.size(); ++i) head[i] = i;
  Marks has_before(graph.nodes.size());
  for (const Edge& edge : graph.edges) {
    const bool functions = graph.nodes[edge.from].kind == NodeKind::kFunction &&
                           graph.nodes[edge.to].kind == NodeKind::kFunction;
    if (!functions || edge.kind != EdgeKind::kCalls || out[edge.from] != 1 || in[edge.to] != 1) {
      continue;
    }
    next[edge.from] = edge.to;
    has_before[edge.to] = true;
  }
  std::map<uint32_t, std::string> names;
  for (uint32_t i = 0; i < head.size(); ++i) {
    if (has_before[i] || next[i] == ~0u) continue;
    std::string name = graph.nodes[i].name;
    for (uint32_t at = next[i]; at != ~0u && head[at] == at; at = next[at]) {
      head[at] = i;
      name += "\n→ " + graph.nodes[at].name;
    }
    names[i] = std::move(name);
  }
  return merge(graph, head, [&](Node& node, const std::vector<uint32_t>& members) {
    node.name = names[head[members.front()]];
  });
}

Result<Graph> top(const Operation& operation, Graph graph) {
  auto most = number_of(operation, 0, 1);
  if (!most) return Error{most.error()};
  if (graph.nodes.size() <= *most) return graph;
  std::vector<uint32_t> order(graph.nodes.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](uint32_t left, uint32_t right) {
    return graph.nodes[left].count > graph.nodes[right].count;
  });
  Marks marks(graph.nodes.size());
  for (size_t i = 0; i < *most; ++i) marks[order[i]] = true;
  Graph kept = keep(graph, marks, true);
  kept.notes.push_back(fmt::format("the {} nodes with the most calls, of {}", *most,
                                   graph.nodes.size()));
  return kept;
}

struct Operator {
  const char* name;
  size_t least, most;  // arguments
  Result<Graph> (*apply)(const Operation&, Graph);
};

constexpr size_t kAny = ~size_t{0};
const Operator kOperators[] = {
    {"filter", 1, kAny, filter},
    {"without", 1, kAny, without},
    {"nodes", 1, kAny, nodes},
    {"edges", 1, kAny, edges},
    {"from", 1, kAny,
     [](const Operation& operation, Graph graph) {
       return along(operation, std::move(graph), false);
     }},
    {"to", 1, kAny,
     [](const Operation& operation, Graph graph) {
       return along(operation, std::move(graph), true);
     }},
    {"focus", 1, 2, focus},
    {"cut", 1, kAny, cut},
    {"group", 1, 1, group},
    {"collapse", 0, 0, collapse},
    {"top", 1, 1, top},
};

const Operator* find_operator(const std::string& name) {
  for (const Operator& each : kOperators) {
    if (name == each.name) return &each;
  }
  return nullptr;
}

std::string all_names() {
  std::string names;
  for (const Operator& each : kOperators) {
    names += (names.empty() ? "" : ", ") + std::string(each.name);
  }
  return names;
}

// The words of one operation; quotes keep blanks together.
Result<std::vector<std::string>> words_of(std::string_view text) {
  std::vector<std::string> words;
  bool in_word = false;
  char quote = '\0';
  for (const char c : text) {
    if (quote != '\0') {
      if (c == quote) quote = '\0';
      else words.back() += c;
      continue;
    }
    if (c == ' ' || c == '\t' || c == '\r') {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (c == '\'' || c == '"') quote = c;
    else words.back() += c;
  }
  if (quote != '\0') return Error{fmt::format("'{}': the quote is not closed", text)};
  return words;
}

// At "|" and at the ends of lines, but not inside quotes; "#" begins a comment.
std::vector<std::string> divided(const std::string& text) {
  std::vector<std::string> parts(1);
  char quote = '\0';
  bool comment = false;
  for (const char c : text) {
    if (c == '\n') {
      comment = false;
      quote = '\0';
      parts.emplace_back();
    } else if (comment) {
      continue;
    } else if (quote == '\0' && c == '|') {
      parts.emplace_back();
    } else if (quote == '\0' && c == '#' && (parts.back().empty() || parts.back().back() == ' ')) {
      comment = true;
    } else {
      if (quote == c) quote = '\0';
      else if (quote == '\0' && (c == '\'' || c == '"')) quote = c;
      parts.back() += c;
    }
  }
  return parts;
}

}  // namespace

Result<std::vector<Operation>> parse_operations(const std::string& text) {
  std::vector<Operation> operations;
  for (const std::string& part : divided(text)) {
    auto words = words_of(part);
    if (!words) return Error{words.error()};
    if (words->empty()) continue;
    Operation operation{words->front(), {words->begin() + 1, words->end()}};
    const Operator* known = find_operator(operation.name);
    if (known == nullptr) {
      return Error{fmt::format("there is no operator '{}'; {}", operation.name, all_names())};
    }
    if (operation.arguments.size() < known->least || operation.arguments.size() > known->most) {
      return Error{fmt::format("{}: takes {}{}, not {}", operation.name,
                               known->least == known->most ? "" : "at least ",
                               known->least == 1 ? "one word" : fmt::format("{} words",
                                                                            known->least),
                               operation.arguments.size())};
    }
    operations.push_back(std::move(operation));
  }
  return operations;
}

Result<Graph> apply(const Operation& operation, Graph graph) {
  const Operator* known = find_operator(operation.name);
  if (known == nullptr) return Error{fmt::format("there is no operator '{}'", operation.name)};
  return known->apply(operation, std::move(graph));
}

Result<Graph> apply_all(const std::vector<Operation>& operations, Graph graph) {
  for (const Operation& operation : operations) {
    auto next = apply(operation, std::move(graph));
    if (!next) return next;
    graph = std::move(*next);
  }
  return graph;
}

Graph compare(const Graph& first, const Graph& second) {
  Graph both = first;
  both.title = first.title + " against " + second.title;
  std::map<std::tuple<NodeKind, std::string, std::string>, uint32_t> known;
  for (uint32_t i = 0; i < both.nodes.size(); ++i) {
    Node& node = both.nodes[i];
    node.side = Side::kFirst;
    known.emplace(std::tuple(node.kind, node.name, node.library), i);
  }
  std::map<std::tuple<uint32_t, uint32_t, EdgeKind>, uint32_t> known_edges;
  for (uint32_t i = 0; i < both.edges.size(); ++i) {
    both.edges[i].side = Side::kFirst;
    known_edges.emplace(std::tuple(both.edges[i].from, both.edges[i].to, both.edges[i].kind), i);
  }
  std::vector<uint32_t> number;
  for (const Node& node : second.nodes) {
    const auto [there, is_new] =
        known.emplace(std::tuple(node.kind, node.name, node.library), both.nodes.size());
    if (is_new) {
      both.nodes.push_back(node);
      both.nodes.back().side = Side::kSecond;
      both.nodes.back().other_count = node.count;
      both.nodes.back().count = 0;
    } else {
      both.nodes[there->second].side = Side::kBoth;
      both.nodes[there->second].other_count += node.count;
    }
    number.push_back(there->second);
  }
  for (const Edge& edge : second.edges) {
    const auto [there, is_new] = known_edges.emplace(
        std::tuple(number[edge.from], number[edge.to], edge.kind), both.edges.size());
    if (is_new) {
      both.edges.push_back({number[edge.from], number[edge.to], edge.kind, 0, Side::kSecond, 0});
    } else if (both.edges[there->second].side == Side::kFirst) {
      both.edges[there->second].side = Side::kBoth;
    }
    both.edges[there->second].other_count += edge.count;
  }
  return both;
}

const char* const kOperatorsHelp =
    "Operators, divided by | or one a line in a file:\n"
    "  filter PATTERN...    only what matches; calls through the rest are bridged\n"
    "  without PATTERN...   all but what matches, bridged in the same way\n"
    "  nodes KIND...        thread, function, lock, condition, connection, operation\n"
    "  edges KIND...        runs, calls, takes, signals, makes, receives, sends, serves,\n"
    "                       may-call, may-take\n"
    "  from PATTERN         what matches and all that can be reached from there\n"
    "  to PATTERN           what matches and all that leads there\n"
    "  focus PATTERN [N]    what matches and what is at most N edges away (1)\n"
    "  cut PATTERN...       without what matches and what could only be reached through it\n"
    "  group WHAT           class, library, thread or kind: nodes that share it become one\n"
    "  collapse             chains of functions that only call each other become one\n"
    "  top N                the N nodes with the most calls\n"
    "A PATTERN (with * and ?) is held against names; library:, class: and kind: before it\n"
    "against these; with --sources, derived: against a class and all that it derives from.";

}  // namespace auxin::analysis
