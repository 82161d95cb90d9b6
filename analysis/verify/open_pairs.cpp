// SPDX-License-Identifier: Apache-2.0
#include "analysis/verify/open_pairs.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace auxin::analysis {
namespace {

struct Taker {
  uint64_t activity;
  uint32_t thread;
  std::string function;
};

// Who takes each unordered lock before an acquisition of a contention point in the same activity.
std::map<uint32_t, std::vector<Taker>> takers_on_their_way(const Trace& trace,
                                                           const Behaviour& behaviour) {
  // When each activity acquired its last contention point.
  std::map<uint64_t, uint64_t> last_point;
  for (const Section& section : behaviour.sections) {
    if (section.ordered) last_point[section.key.activity] = section.acquired;
  }
  std::map<uint32_t, std::vector<Taker>> takers;
  for (const Section& section : behaviour.sections) {
    if (section.ordered || section.key.activity == 0) continue;
    const auto last = last_point.find(section.key.activity);
    if (last == last_point.end() || last->second < section.acquired) continue;
    takers[section.object].push_back(
        {section.key.activity, section.thread, function_of(trace, section.path)});
  }
  return takers;
}

// The application's function that the lock is taken for: of the work, else of the call path.
std::string on_behalf_of(const std::map<uint64_t, const Work*>& works, uint64_t activity,
                         const std::string& function) {
  const auto work = works.find(activity);
  return work != works.end() && !work->second->function.empty() ? work->second->function : function;
}

}  // namespace

std::vector<OpenPair> find_open_pairs(const Trace& trace, const Behaviour& behaviour) {
  const auto takers = takers_on_their_way(trace, behaviour);
  std::map<uint64_t, const Work*> works;
  for (const Work& work : behaviour.works) works.emplace(work.activity, &work);

  std::map<std::tuple<std::string, std::string>, OpenPair> pairs;
  std::map<std::tuple<std::string, std::string>, std::set<std::string>> others;
  for (const Section& inner : behaviour.sections) {
    if (!inner.ordered) continue;
    for (const uint32_t index : inner.held) {
      const Section& outer = behaviour.sections[index];
      if (outer.ordered || outer.shared) continue;
      const auto of_outer = takers.find(outer.object);
      if (of_outer == takers.end()) continue;
      std::set<std::string> found;
      for (const Taker& taker : of_outer->second) {
        // On one thread they never meet: a lock on its stack is another one each time.
        if (taker.activity == inner.key.activity || taker.thread == inner.thread) continue;
        found.insert(on_behalf_of(works, taker.activity, taker.function));
      }
      if (found.empty()) continue;
      const std::tuple key(function_of(trace, outer.path), function_of(trace, inner.path));
      OpenPair& pair = pairs[key];
      pair.outer_function = std::get<0>(key);
      pair.inner_function = std::get<1>(key);
      pair.outer_kind = name_of(behaviour.objects.objects[outer.object].kind);
      pair.inner_kind = name_of(behaviour.objects.objects[inner.object].kind);
      ++pair.times;
      others[key].insert(found.begin(), found.end());
    }
  }
  std::vector<OpenPair> result;
  for (auto& [key, pair] : pairs) {
    pair.others.assign(others[key].begin(), others[key].end());
    result.push_back(std::move(pair));
  }
  std::stable_sort(result.begin(), result.end(),
                   [](const OpenPair& a, const OpenPair& b) { return a.times > b.times; });
  return result;
}

}  // namespace auxin::analysis
