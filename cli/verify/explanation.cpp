// SPDX-License-Identifier: Apache-2.0
#include "cli/verify/explanation.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "analysis/trace/reader.h"
#include "analysis/verify/imported_values.h"
#include "analysis/verify/inversions.h"
#include "metamarkers/join_point_map.h"
#include "replication/supervisor/installation.h"

namespace auxin::cli {
namespace {

using analysis::Behaviour;
using analysis::Inversion;
using analysis::Neighbour;
using analysis::Section;
using analysis::Trace;

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

bool any_match(const std::vector<std::string>& patterns, const std::string& name) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return markers::matches(pattern.c_str(), name.c_str());
  });
}

// The libraries that the maps' join points are in, and what lies between those and the system.
std::vector<std::string> middleware_patterns(const Trace& trace) {
  std::vector<std::string> modules, patterns;
  for (const analysis::TraceModule& module : trace.modules) {
    modules.push_back(file_name(module.path));
  }
  auto directory = supervisor::find_map_directory("");
  if (!directory) return patterns;
  for (const markers::JoinPointMap& map : markers::choose_maps(*directory, modules).maps) {
    for (const markers::JoinPoint& point : map.join_points) patterns.push_back(point.library);
    patterns.insert(patterns.end(), map.conduit.begin(), map.conduit.end());
    patterns.insert(patterns.end(), map.interpreter.begin(), map.interpreter.end());
  }
  std::sort(patterns.begin(), patterns.end());
  patterns.erase(std::unique(patterns.begin(), patterns.end()), patterns.end());
  return patterns;
}

constexpr size_t kRepliesOfAValue = 3;  // of one request, all different

// Which of them came first in the base run is another one from failure to failure.
std::vector<std::string> pair_of(std::string one, std::string other) {
  if (other < one) std::swap(one, other);
  return {std::move(one), std::move(other)};
}

std::string in_cases(uint64_t seen, uint64_t of) {
  return of == 1 ? std::string() : fmt::format(" (in {} of {} failures)", seen, of);
}

}  // namespace

Result<BaseBehaviour> read_base(const std::string& trace_path) {
  auto trace = analysis::read_trace(trace_path);
  if (!trace) return Error{trace.error()};
  BaseBehaviour base;
  base.trace = std::move(*trace);
  const std::vector<std::string> patterns = middleware_patterns(base.trace);
  base.is_middleware = [patterns](const std::string& library) {
    return any_match(patterns, library);
  };
  base.behaviour = analysis::find_behaviour(base.trace, base.is_middleware);
  for (const analysis::TraceModule& module : base.trace.modules) {
    const std::string name = file_name(module.path);
    if (!name.empty() && !analysis::is_between(name) && !base.is_middleware(name)) {
      base.application_modules.push_back(module.path);
    }
  }
  return base;
}

void Explainer::add(const Failure& failure, const std::string& trace_path,
                    const BaseBehaviour& base) {
  ++count_;
  auto trace = analysis::read_trace(trace_path);
  if (!trace) return;
  const Behaviour other = analysis::find_behaviour(*trace, base.is_middleware);

  std::set<Functions> seen;
  touching_.emplace_back();
  for (const Inversion& inversion :
       analysis::find_inversions(base.behaviour, other, failure.activity)) {
    const Section& first = base.behaviour.sections[inversion.first];
    const Section& second = base.behaviour.sections[inversion.second];
    const Functions functions = pair_of(analysis::function_of(base.trace, first.path),
                                        analysis::function_of(base.trace, second.path));
    if (!seen.insert(functions).second) continue;  // those that touch the request come first
    Pair& pair = locks_[functions];
    pair.lock_kind = analysis::name_of(base.behaviour.objects.objects[first.object].kind);
    ++pair.seen;
    if (!inversion.touches) continue;
    ++pair.touching;
    touching_.back().insert(functions);
  }

  const analysis::Work* own = analysis::work_of(base.behaviour, failure.activity);
  if (own == nullptr) own = analysis::work_of(other, failure.activity);
  if (own == nullptr || failure.end != RehearsalEnd::kDiverged) return;
  replied_ = own->function;
  if (failure.reply_differs) replies_[failure.activity].insert(failure.bytes);
  if (value_calls_.empty()) value_calls_ = analysis::imported_values(base.application_modules);
  std::map<Functions, bool> beside;  // whether an ordered lock keeps all such pairs apart
  for (const Neighbour& neighbour :
       analysis::find_neighbours(base.behaviour, other, failure.activity)) {
    const auto [there, is_new] =
        beside.emplace(pair_of(neighbour.function, own->function), neighbour.ordered_between);
    if (!is_new) there->second = there->second && neighbour.ordered_between;
  }
  for (const auto& [functions, ordered] : beside) {
    const auto [there, is_new] = neighbours_.emplace(functions, Pair{});
    there->second.ordered_between = is_new ? ordered : there->second.ordered_between && ordered;
    ++there->second.seen;
  }
  if (!beside.empty()) return;
  ++alone_[own->function];
}

// In most failures the request that differed took a lock in another order.
bool Explainer::mostly_locks() const {
  uint64_t count = 0;
  for (const std::set<Functions>& pairs : touching_) {
    count += std::any_of(pairs.begin(), pairs.end(), [this](const Functions& pair) {
      return !harmless_.contains(pair);
    }) ? 1 : 0;
  }
  return 2 * count > count_;
}

// The same request replied differently each time: orders are few, values are many.
bool Explainer::never_the_same() const {
  size_t most = 0;
  for (const auto& [activity, replies] : replies_) {
    const std::set<std::string> different(replies.begin(), replies.end());
    if (different.size() != replies.size()) return false;
    most = std::max(most, replies.size());
  }
  return most >= kRepliesOfAValue;
}

void Explainer::add_agreed(const std::string& trace_path, const BaseBehaviour& base) {
  auto trace = analysis::read_trace(trace_path);
  if (!trace) return;
  ++agreed_count_;
  const Behaviour other = analysis::find_behaviour(*trace, base.is_middleware);
  for (const Inversion& inversion : analysis::find_inversions(base.behaviour, other, 0)) {
    harmless_.insert(pair_of(
        analysis::function_of(base.trace, base.behaviour.sections[inversion.first].path),
        analysis::function_of(base.trace, base.behaviour.sections[inversion.second].path)));
  }
}

std::string Explainer::joined_calls() const {
  std::string text;
  for (const std::string& call : value_calls_) text += (text.empty() ? "" : ", ") + call;
  return text;
}

Explanation Explainer::explain() const {
  Explanation result;
  result.of = count_;
  const auto rank_of_lock = [this](const auto& each) {
    // Of equals not a function with itself: two readers change places and nothing differs.
    return std::tuple(!harmless_.contains(each.first), each.second.touching, each.second.seen,
                      each.first[0] != each.first[1]);
  };
  const auto best_lock = std::max_element(
      locks_.begin(), locks_.end(),
      [&](const auto& a, const auto& b) { return rank_of_lock(a) < rank_of_lock(b); });
  // One that was there by chance, in a few failures only, explains nothing where there is more.
  const bool a_lock = best_lock != locks_.end() &&
                      (mostly_locks() || (2 * best_lock->second.seen > count_ &&
                                          !harmless_.contains(best_lock->first)) ||
                       (alone_.empty() && neighbours_.empty()));
  if (a_lock) {
    const auto best = best_lock;
    result.cause = Cause::kLock;
    result.functions = best->first;
    result.lock_kind = best->second.lock_kind;
    result.seen = best->second.seen;
    result.sentence = fmt::format(
        "critical sections of {} on a {} that is not ordered changed places{}; order that lock",
        both(result.functions), result.lock_kind, in_cases(result.seen, result.of));
    return result;
  }
  if (alone_.empty() && !value_calls_.empty() && never_the_same()) {
    result.cause = Cause::kValue;
    result.functions = {replied_};
    result.seen = count_;
    result.call = joined_calls();
    result.sentence = fmt::format(
        "{} replied differently each time (in {} failures): with a value of this process's own; "
        "the server calls {}",
        replied_, count_, result.call);
    return result;
  }
  if (!alone_.empty()) {
    const auto best = std::max_element(
        alone_.begin(), alone_.end(),
        [](const auto& a, const auto& b) { return a.second < b.second; });
    result.cause = Cause::kValue;
    result.functions = {best->first};
    result.seen = best->second;
    result.call = joined_calls();
    result.sentence = fmt::format(
        "{} replied differently with nobody beside it{}: with a value of this process's own{}",
        best->first, in_cases(result.seen, result.of),
        result.call.empty() ? std::string() : "; the server calls " + result.call);
    return result;
  }
  if (!neighbours_.empty()) {
    const auto rank = [](const auto& each) {
      return std::tuple(!each.second.ordered_between, each.second.seen,
                        each.first[0] != each.first[1]);
    };
    const auto best = std::max_element(
        neighbours_.begin(), neighbours_.end(),
        [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    result.cause = Cause::kDataRace;
    result.functions = best->first;
    result.seen = best->second.seen;
    result.sentence = fmt::format(
        "data race: {} ran side by side or changed places, and no lock is between them{}; guard "
        "what they share with a lock",
        both(result.functions), in_cases(result.seen, result.of));
    return result;
  }
  result.sentence = "nothing that was recorded explains it";
  return result;
}

}  // namespace auxin::cli
