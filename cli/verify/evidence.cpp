// SPDX-License-Identifier: Apache-2.0
#include "cli/verify/evidence.h"

#include <algorithm>
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

}  // namespace

FunctionPair pair_of(std::string one, std::string other) {
  if (other < one) std::swap(one, other);
  return {std::move(one), std::move(other)};
}

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

Evidence find_evidence(const Failure& failure, const Trace& trace, const BaseBehaviour& base) {
  const Behaviour other = analysis::find_behaviour(trace, base.is_middleware);
  Evidence evidence;
  evidence.activity = failure.activity;
  for (const Inversion& inversion :
       analysis::find_inversions(base.behaviour, other, failure.activity)) {
    const Section& first = base.behaviour.sections[inversion.first];
    const Section& second = base.behaviour.sections[inversion.second];
    // Those that touch the request come first.
    evidence.sections.emplace(
        pair_of(analysis::function_of(base.trace, first.path),
                analysis::function_of(base.trace, second.path)),
        SwappedSections{analysis::name_of(base.behaviour.objects.objects[first.object].kind),
                        inversion.touches});
  }

  const analysis::Work* own = analysis::work_of(base.behaviour, failure.activity);
  if (own == nullptr) own = analysis::work_of(other, failure.activity);
  if (own == nullptr || failure.end != RehearsalEnd::kDiverged) return evidence;
  evidence.replied = own->function;
  if (failure.reply_differs) evidence.reply = failure.bytes;
  evidence.value_calls = analysis::imported_values(base.application_modules);
  for (const Neighbour& neighbour :
       analysis::find_neighbours(base.behaviour, other, failure.activity)) {
    const auto [there, is_new] =
        evidence.beside.emplace(pair_of(neighbour.function, own->function),
                                WorkBeside{neighbour.ordered_between, neighbour.at_rest});
    if (is_new) continue;
    WorkBeside& pair = there->second;
    pair.ordered_between = pair.ordered_between && neighbour.ordered_between;
    pair.at_rest = pair.at_rest && neighbour.at_rest;
  }
  return evidence;
}

std::vector<FunctionPair> find_harmless(const Trace& trace, const BaseBehaviour& base) {
  const Behaviour other = analysis::find_behaviour(trace, base.is_middleware);
  std::vector<FunctionPair> pairs;
  for (const Inversion& inversion : analysis::find_inversions(base.behaviour, other, 0)) {
    pairs.push_back(
        pair_of(analysis::function_of(base.trace, base.behaviour.sections[inversion.first].path),
                analysis::function_of(base.trace,
                                      base.behaviour.sections[inversion.second].path)));
  }
  return pairs;
}

}  // namespace auxin::cli
