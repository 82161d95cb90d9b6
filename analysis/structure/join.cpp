// SPDX-License-Identifier: Apache-2.0
//
// Which member a lock is: the function that called the lock is known, and so is what it mentions.
// Of several functions that took one lock, all must be able to mean it; where none of their objects
// is common to all, what most of them mention is left. A function that mentions none may have got
// its lock passed (its caller mentions it), or a function that it calls stands inside it.
#include "analysis/structure/join.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "analysis/structure/ancestry.h"
#include "analysis/structure/call_graph.h"

namespace auxin::analysis {
namespace {

using recording::kKindMask;

constexpr int kDeepestInlining = 3;
constexpr size_t kMostPassedOn = 3;  // callers that a lock may come from

SynchronisationKind same_kind(ObjectKind recorded) {
  switch (recorded) {
    case ObjectKind::kMutex: return SynchronisationKind::kMutex;
    case ObjectKind::kRwlock: return SynchronisationKind::kRwlock;
    case ObjectKind::kSemaphore: return SynchronisationKind::kSemaphore;
    case ObjectKind::kSpin: return SynchronisationKind::kSpin;
    case ObjectKind::kBarrier: return SynchronisationKind::kBarrier;
    case ObjectKind::kOnce: return SynchronisationKind::kOnce;
    case ObjectKind::kCondition: return SynchronisationKind::kCondition;
    case ObjectKind::kConnection: break;
  }
  return SynchronisationKind::kNone;
}

// omniORB's semaphore is made of a mutex and a condition.
bool can_be_part_of(ObjectKind recorded, SynchronisationKind declared) {
  return declared == SynchronisationKind::kSemaphore &&
         (recorded == ObjectKind::kMutex || recorded == ObjectKind::kCondition);
}

class Joiner {
 public:
  Joiner(const Structure& structure, const Trace& trace, const TraceObjects& objects)
      : structure_(structure), trace_(trace), objects_(objects), index_(structure),
        calls_(structure), ancestry_(structure) {}

  StructureJoin run() {
    result_.structure = &structure_;
    result_.seen.resize(structure_.functions.size());
    match_frames();
    collect_uses();
    choose_objects();
    find_unseen();
    return std::move(result_);
  }

 private:
  using Candidates = std::set<std::string>;

  void match_frames() {
    result_.function_of_frame.assign(trace_.frames.size(), kNoFunction);
    std::vector<std::pair<uint32_t, std::vector<uint32_t>>> ambiguous;
    std::vector<uint32_t> certain;
    for (uint32_t frame = 0; frame < trace_.frames.size(); ++frame) {
      auto found = index_.find(trace_.frames[frame].symbol, trace_.frames[frame].function);
      if (found.size() == 1) {
        result_.function_of_frame[frame] = found[0];
        result_.seen[found[0]] = true;
        certain.push_back(found[0]);
      } else if (!found.empty()) {
        ambiguous.emplace_back(frame, std::move(found));
      }
    }
    std::sort(certain.begin(), certain.end());
    certain.erase(std::unique(certain.begin(), certain.end()), certain.end());
    for (const auto& [frame, candidates] : ambiguous) {
      const uint32_t chosen = choose(candidates, certain);
      if (chosen == kNoFunction) {
        result_.remarks.push_back(fmt::format(
            "{}: the sources have {} functions of this name, and which one it is cannot be told; "
            "--sources-under leaves other programs out",
            trace_.frames[frame].function, candidates.size()));
        continue;
      }
      result_.function_of_frame[frame] = chosen;
      result_.seen[chosen] = true;
    }
  }

  // Programs that share a tree have a `main` each: the one that leads to what was recorded.
  uint32_t choose(const std::vector<uint32_t>& candidates, const std::vector<uint32_t>& certain) {
    uint64_t most = 0;
    uint32_t chosen = kNoFunction;
    for (const uint32_t candidate : candidates) {
      const std::vector<bool> marks = calls_.reachable({candidate});
      const auto count = static_cast<uint64_t>(
          std::count_if(certain.begin(), certain.end(), [&](uint32_t it) { return marks[it]; }));
      if (count > most) {
        most = count;
        chosen = candidate;
      } else if (count == most) {
        chosen = kNoFunction;
      }
    }
    return chosen;
  }

  // Each object with each path that it was used along, once.
  void collect_uses() {
    std::set<std::pair<uint32_t, uint32_t>> uses;
    for (uint32_t thread = 0; thread < trace_.threads.size(); ++thread) {
      const auto& events = trace_.threads[thread].events;
      const auto& seconds = objects_.second_of_event[thread];
      for (size_t i = 0; i < events.size(); ++i) {
        if (!trace_.is_call(events[i])) continue;
        const uint32_t object = objects_.of_event[thread][i];
        if (object != kNoObject) uses.emplace(object, events[i].path);
        if (!seconds.empty() && seconds[i] != kNoObject) uses.emplace(seconds[i], events[i].path);
      }
    }
    for (const auto& [object, path] : uses) {
      const ObjectKind kind = objects_.objects[object].kind;
      if (kind == ObjectKind::kConnection) continue;
      if (auto use = use_along(path, kind)) uses_[object].push_back(std::move(*use));
    }
  }

  struct Use {
    Candidates candidates;
    std::set<uint32_t> functions;  // that mention them
  };

  // The caller of the lock and those that may have passed it on.
  std::optional<Use> use_along(uint32_t path, ObjectKind kind) const {
    size_t passed = 0;
    for (const uint32_t frame : trace_.path(path)) {
      const uint32_t function = result_.function_of_frame[frame];
      if (function == kNoFunction) {
        // Behind a function that is not in the sources somebody else's lock is taken.
        if (passed == 0 && is_lock_wrapper(trace_.frames[frame].function)) continue;
        return std::nullopt;
      }
      Use use;
      mentioned(function, kind, kDeepestInlining, use);
      if (!use.candidates.empty()) return use;
      if (++passed == kMostPassedOn) return std::nullopt;
    }
    return std::nullopt;
  }

  // In `function`; where it mentions none, in what it calls and a compiler may have put into it.
  void mentioned(uint32_t function, ObjectKind kind, int depth, Use& use) const {
    const auto take = [&](auto fits) {
      for (const StructureMention& mention : structure_.functions[function].mentions) {
        if (!fits(ancestry_.kind_of(mention.object))) continue;
        use.candidates.insert(mention.object);
        use.functions.insert(function);
      }
    };
    take([kind](SynchronisationKind declared) { return declared == same_kind(kind); });
    if (use.candidates.empty()) {
      take([kind](SynchronisationKind declared) { return can_be_part_of(kind, declared); });
    }
    if (!use.candidates.empty() || depth == 0) return;
    for (const uint32_t callee : calls_.direct_callees(function)) {
      // One that is a frame of its own somewhere was not put into this one.
      if (!result_.seen[callee]) mentioned_below(callee, kind, depth - 1, use);
    }
  }

  void mentioned_below(uint32_t function, ObjectKind kind, int depth, Use& use) const {
    Use below;
    mentioned(function, kind, depth, below);
    use.candidates.insert(below.candidates.begin(), below.candidates.end());
    use.functions.insert(below.functions.begin(), below.functions.end());
  }

  void choose_objects() {
    result_.of_object.resize(objects_.objects.size());
    for (const auto& [object, uses] : uses_) {
      std::map<std::string, size_t> votes;
      for (const Use& use : uses) {
        for (const std::string& candidate : use.candidates) ++votes[candidate];
      }
      size_t most = 0;
      for (const auto& [candidate, count] : votes) most = std::max(most, count);
      for (const auto& [candidate, count] : votes) {
        if (count != most) continue;
        result_.of_object[object].push_back(candidate);
        known_.insert(candidate);
      }
      for (const Use& use : uses) {
        for (const uint32_t function : use.functions) {
          for (const std::string& candidate : result_.of_object[object]) {
            used_.emplace(function, candidate);
          }
        }
      }
    }
  }

  void find_unseen() {
    std::vector<uint32_t> seen;
    for (uint32_t i = 0; i < result_.seen.size(); ++i) {
      if (result_.seen[i]) seen.push_back(i);
    }
    const std::vector<bool> reachable = calls_.reachable(seen);
    const auto came_by = callers_from(seen);
    std::set<std::string> possible, classes;
    for (uint32_t i = 0; i < structure_.functions.size(); ++i) {
      if (!reachable[i]) continue;
      const StructureFunction& function = structure_.functions[i];
      if (!function.class_key.empty()) classes.insert(function.class_key);
      for (const StructureMention& mention : function.mentions) {
        possible.insert(mention.object);
        if (used_.contains({i, mention.object}) || makes(function, mention.object)) continue;
        result_.unseen_uses.push_back({i, mention.object, mention.line, way_to(i, came_by)});
      }
    }
    const auto add = [&](const std::string& name, const auto& object, bool is_possible) {
      if (object.synchronisation == SynchronisationKind::kNone || !is_possible) return;
      if (!known_.contains(name)) {
        result_.unseen_objects.push_back({name, object.type, object.place});
      }
    };
    for (const StructureClass& each : structure_.classes) {
      for (const StructureMember& member : each.members) {
        const std::string name = each.name + "::" + member.name;
        add(name, member, possible.contains(name) || classes.contains(each.key));
      }
    }
    for (const auto& variable : structure_.variables) {
      add(variable.name, variable, possible.contains(variable.name));
    }
  }

  // A constructor names its members to make them.
  static bool makes(const StructureFunction& function, const std::string& object) {
    return function.is_constructor && object.starts_with(function.name.substr(
                                          0, function.name.rfind("::") + 2));
  }

  // Per function the one that it was first come by from.
  std::vector<uint32_t> callers_from(const std::vector<uint32_t>& seen) const {
    std::vector<uint32_t> caller(structure_.functions.size(), kNoFunction);
    std::vector<uint32_t> front = seen;
    for (size_t i = 0; i < front.size(); ++i) {
      for (const uint32_t next : calls_.callees(front[i])) {
        if (result_.seen[next] || caller[next] != kNoFunction) continue;
        caller[next] = front[i];
        front.push_back(next);
      }
    }
    return caller;
  }

  static std::vector<uint32_t> way_to(uint32_t function, const std::vector<uint32_t>& caller) {
    std::vector<uint32_t> way;
    for (uint32_t at = caller[function]; at != kNoFunction; at = caller[at]) way.push_back(at);
    std::reverse(way.begin(), way.end());
    return way;
  }

  const Structure& structure_;
  const Trace& trace_;
  const TraceObjects& objects_;
  FunctionIndex index_;
  CallGraph calls_;
  Ancestry ancestry_;
  std::map<uint32_t, std::vector<Use>> uses_;            // per object
  std::set<std::string> known_;                          // what some object can be
  std::set<std::pair<uint32_t, std::string>> used_;      // function, object
  StructureJoin result_;
};

}  // namespace

uint64_t StructureJoin::seen_functions() const {
  return static_cast<uint64_t>(std::count(seen.begin(), seen.end(), true));
}

const StructureFunction* StructureJoin::function(uint32_t frame) const {
  const uint32_t index = function_of_frame[frame];
  return index == kNoFunction ? nullptr : &structure->functions[index];
}

StructureJoin join(const Structure& structure, const Trace& trace, const TraceObjects& objects) {
  return Joiner(structure, trace, objects).run();
}

}  // namespace auxin::analysis
