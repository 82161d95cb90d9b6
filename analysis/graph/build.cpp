// SPDX-License-Identifier: Apache-2.0
#include "analysis/graph/build.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "analysis/locks/synchronisation_calls.h"
#include "analysis/structure/ancestry.h"

namespace auxin::analysis {
namespace {

using recording::kKindMask;

// What one thread did along one path to one object, summed up: a trace of millions of events has
// some thousands of these.
struct Deed {
  uint32_t thread, path, object, second;
  uint16_t row;
  uint16_t join_point;
  bool operator==(const Deed&) const = default;
};
struct DeedHash {
  size_t operator()(const Deed& deed) const {
    uint64_t hash = deed.thread;
    for (const uint64_t word : {uint64_t{deed.path}, uint64_t{deed.object}, uint64_t{deed.second},
                                uint64_t{deed.row}, uint64_t{deed.join_point}}) {
      hash = (hash ^ word) * 0x9e3779b97f4a7c15;
      hash ^= hash >> 29;
    }
    return hash;
  }
};
struct Sum {
  uint64_t count = 0, ordered = 0, intercepted = 0;
};

class Builder {
 public:
  Builder(const Trace& trace, const TraceObjects& objects, const StructureJoin* join)
      : trace_(trace), objects_(objects), join_(join) {
    if (join != nullptr) ancestry_.emplace(*join->structure);
  }

  Graph build() {
    graph_.title = trace_.command;
    sum_up();
    add_threads();
    for (const auto& [deed, sum] : deeds_) add(deed, sum);
    add_operations();
    return std::move(graph_);
  }

 private:
  void sum_up() {
    for (uint32_t thread = 0; thread < trace_.threads.size(); ++thread) {
      const auto& events = trace_.threads[thread].events;
      const auto& of_event = objects_.of_event[thread];
      const auto& seconds = objects_.second_of_event[thread];
      for (size_t i = 0; i < events.size(); ++i) {
        const Event& event = events[i];
        const uint16_t kind = event.kind & kKindMask;
        if (kind == recording::kOperation) ++operations_[{event.object, thread}];
        if (!trace_.is_call(event)) continue;
        Sum& sum = deeds_[{thread, event.path, of_event[i],
                           seconds.empty() ? kNoObject : seconds[i], kind, event.join_point}];
        ++sum.count;
        sum.ordered += (event.kind & recording::kOrdered) != 0;
        sum.intercepted += (event.kind & recording::kIntercepted) != 0;
        if (trace_.calls[kind].family == os::Family::thread) {
          created_[event.object] = event.path;
        }
      }
    }
  }

  uint32_t node(NodeKind kind, std::string name, std::string library, std::string class_name) {
    Node made;
    made.kind = kind;
    made.name = std::move(name);
    made.library = std::move(library);
    made.class_name = std::move(class_name);
    graph_.nodes.push_back(std::move(made));
    return static_cast<uint32_t>(graph_.nodes.size() - 1);
  }

  void edge(uint32_t from, uint32_t to, EdgeKind kind, uint64_t count) {
    const auto [there, is_new] =
        edges_.emplace(std::tuple(from, to, kind), static_cast<uint32_t>(graph_.edges.size()));
    if (is_new) graph_.edges.push_back({from, to, kind, 0, Side::kBoth, 0});
    graph_.edges[there->second].count += count;
  }

  uint32_t function(uint32_t frame_index) {
    const TraceFrame& frame = trace_.frames[frame_index];
    const std::string text = frame.text();
    const auto [there, is_new] = functions_.emplace(std::pair(text, frame.object), 0);
    if (is_new) {
      there->second = node(NodeKind::kFunction, text, frame.object, class_of(frame.function));
      if (join_ != nullptr) describe_function(graph_.nodes[there->second], frame_index);
    }
    return there->second;
  }

  void describe_function(Node& node, uint32_t frame) const {
    const StructureFunction* function = join_->function(frame);
    if (function == nullptr) return;
    node.place = function->place;
    if (function->class_key.empty()) return;
    node.ancestors = ancestry_->of_class(function->class_key);
    if (!node.ancestors.empty()) node.class_name = node.ancestors.front();
  }

  // A lock that is one member of a class is of that class, wherever it was made or used.
  void describe_object(Node& node, uint32_t object) const {
    const std::vector<std::string>& names = join_->of_object[object];
    for (const std::string& name : names) {
      node.declared.push_back(fmt::format("{} {}", name, ancestry_->place_of(name).text()));
    }
    if (names.empty()) return;
    node.ancestors = ancestry_->of_object(names[0]);
    for (const std::string& name : names) {
      if (ancestry_->of_object(name) != node.ancestors) node.ancestors.clear();
    }
    if (names.size() != 1) return;
    node.place = ancestry_->place_of(names[0]);
    node.class_name = names[0];
  }

  // The outermost function that is the program's own or a library's: what the thread is for.
  std::string start_of(const TraceThread& thread) const {
    std::string name = "main";
    for (const Event& event : thread.events) {
      const auto path = trace_.path(event.path);
      if (!trace_.is_call(event) || path.empty()) continue;
      for (auto frame = path.rbegin(); frame != path.rend(); ++frame) {
        const TraceFrame& at = trace_.frames[*frame];
        if (at.object.starts_with("libc.so") || at.function.empty()) continue;
        return at.function;
      }
    }
    return name;
  }

  void add_threads() {
    for (const TraceThread& thread : trace_.threads) {
      const uint32_t index =
          node(NodeKind::kThread, fmt::format("thread {} {}", thread.tid, thread.name), "",
               short_name(start_of(thread)));
      threads_.push_back(index);
      if (thread.self != 0) thread_by_self_[thread.self] = index;
    }
  }

  uint32_t object(uint32_t index) {
    const auto [there, is_new] = object_nodes_.emplace(index, 0);
    if (!is_new) return there->second;
    const TraceObject& it = objects_.objects[index];
    const NodeKind kind = it.kind == ObjectKind::kCondition    ? NodeKind::kCondition
                          : it.kind == ObjectKind::kConnection ? NodeKind::kConnection
                                                               : NodeKind::kLock;
    const auto path = trace_.path(it.made_path != 0 ? it.made_path : it.first_path);
    const TraceFrame* maker = path.empty() ? nullptr : &trace_.frames[path.front()];
    std::string of = maker == nullptr ? "?" : short_name(maker->text());
    // A wrapper's constructor says little: who called it says more.
    if (path.size() > 1) of += " ← " + short_name(trace_.frames[path[1]].text());
    const std::string base = fmt::format("{} {} {}", name_of(it.kind),
                                         it.made_path != 0 ? "of" : "used in", of);
    const uint64_t ordinal = ++ordinals_[base];
    there->second = node(kind, fmt::format("{} #{}", base, ordinal),
                         maker == nullptr ? "" : maker->object, base);
    if (join_ != nullptr) describe_object(graph_.nodes[there->second], index);
    return there->second;
  }

  static EdgeKind edge_of(const TraceCall& call, ObjectKind kind) {
    if (kind == ObjectKind::kConnection) {
      const std::string_view name = call.name;
      const bool sends = name.find("send") != std::string_view::npos ||
                         name.find("write") != std::string_view::npos;
      return sends ? EdgeKind::kSends : EdgeKind::kReceives;
    }
    const Synchronisation what = synchronisation_of(call.name);
    return kind == ObjectKind::kCondition && what == Synchronisation::kReleases
               ? EdgeKind::kSignals
               : EdgeKind::kTakes;
  }

  static bool makes(const TraceCall& call) {
    return call.name.ends_with("_init") || call.name == "socket" ||
           call.name.starts_with("accept") || call.name.ends_with("_create");
  }

  void add(const Deed& deed, const Sum& sum) {
    const TraceCall& call = trace_.calls[deed.row];
    const auto path = trace_.path(deed.path);
    uint32_t at = threads_[deed.thread];
    graph_.nodes[at].count += sum.count;
    uint32_t innermost = at;
    for (auto frame = path.rbegin(); frame != path.rend(); ++frame) {
      const uint32_t next = function(*frame);
      if (next == innermost) continue;  // recursion, or two sites in one function
      edge(innermost, next, innermost == at ? EdgeKind::kRuns : EdgeKind::kCalls, sum.count);
      innermost = next;
    }
    Node& caller = graph_.nodes[innermost];
    if (innermost != at) {
      caller.count += sum.count;
      caller.ordered += sum.ordered;
      caller.intercepted += sum.intercepted;
    }
    if (deed.object != kNoObject) {
      const uint32_t target = object(deed.object);
      graph_.nodes[target].count += sum.count;
      graph_.nodes[target].ordered += sum.ordered;
      graph_.nodes[target].intercepted += sum.intercepted;
      const bool release = synchronisation_of(call.name) == Synchronisation::kReleases &&
                           objects_.objects[deed.object].kind != ObjectKind::kCondition;
      if (makes(call)) {
        edge(innermost, target, EdgeKind::kMakes, sum.count);
      } else if (!release) {
        edge(innermost, target, edge_of(call, objects_.objects[deed.object].kind), sum.count);
      }
    }
    if (deed.second != kNoObject) {
      edge(innermost, object(deed.second), EdgeKind::kTakes, sum.count);
    }
    if (call.family == os::Family::thread && call.name == "pthread_create") {
      add_creation(deed, innermost);
    }
  }

  void add_creation(const Deed& deed, uint32_t creator) {
    for (const auto& [self, path] : created_) {
      if (path != deed.path) continue;
      const auto thread = thread_by_self_.find(self);
      if (thread != thread_by_self_.end()) edge(creator, thread->second, EdgeKind::kMakes, 1);
    }
  }

  void add_operations() {
    std::map<std::string, uint32_t> nodes;
    for (const auto& [where, count] : operations_) {
      const std::string name = trace_.text_at(where.first);
      const auto [there, is_new] = nodes.emplace(name, 0);
      if (is_new) there->second = node(NodeKind::kOperation, name, "", "operation");
      graph_.nodes[there->second].count += count;
      edge(threads_[where.second], there->second, EdgeKind::kServes, count);
    }
  }

  const Trace& trace_;
  const TraceObjects& objects_;
  const StructureJoin* join_;  // null: the sources are not known
  std::optional<Ancestry> ancestry_;
  Graph graph_;
  std::unordered_map<Deed, Sum, DeedHash> deeds_;
  std::map<std::pair<uint64_t, uint32_t>, uint64_t> operations_;  // (text, thread)
  std::unordered_map<uint64_t, uint32_t> created_;                // new thread, path
  std::vector<uint32_t> threads_;
  std::unordered_map<uint64_t, uint32_t> thread_by_self_;
  std::map<std::pair<std::string, std::string>, uint32_t> functions_;
  std::unordered_map<uint32_t, uint32_t> object_nodes_;
  std::unordered_map<std::string, uint64_t> ordinals_;
  std::map<std::tuple<uint32_t, uint32_t, EdgeKind>, uint32_t> edges_;
};

}  // namespace

Graph build_graph(const Trace& trace, const TraceObjects& objects, const StructureJoin* join) {
  return Builder(trace, objects, join).build();
}

// The last "::" outside of angle brackets and parentheses divides.
std::string class_of(const std::string& function) {
  const std::string name = short_name(function);
  int depth = 0;
  for (size_t i = name.size(); i > 1; --i) {
    const char c = name[i - 1];
    if (c == '>' || c == ')') ++depth;
    if (c == '<' || c == '(') --depth;
    if (depth == 0 && c == ':' && name[i - 2] == ':') return name.substr(0, i - 2);
  }
  return {};
}

std::string short_name(const std::string& function) {
  std::string name;
  int angles = 0;
  for (size_t i = 0; i < function.size(); ++i) {
    const char c = function[i];
    const bool operator_sign = name.ends_with("operator") || name.ends_with("operator-") ||
                               name.ends_with("operator<") || name.ends_with("operator>");
    if (!operator_sign && c == '<') {
      if (angles++ == 0) name += "<…>";
      continue;
    }
    if (!operator_sign && c == '>' && angles > 0) {
      --angles;
      continue;
    }
    if (angles > 0) continue;
    if (c == '(' && !name.ends_with("operator")) {
      // "(anonymous namespace)::f()": not the arguments yet.
      if (function.compare(i, 21, "(anonymous namespace)") == 0) {
        name += "(anonymous namespace)";
        i += 20;
        continue;
      }
      break;
    }
    name += c;
  }
  return name;
}

}  // namespace auxin::analysis
