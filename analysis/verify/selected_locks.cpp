// SPDX-License-Identifier: Apache-2.0
#include "analysis/verify/selected_locks.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace auxin::analysis {
namespace {

// Disjoint sets of objects.
class Sets {
 public:
  explicit Sets(size_t size) : parent_(size) { std::iota(parent_.begin(), parent_.end(), 0u); }
  uint32_t root(uint32_t of) {
    while (parent_[of] != of) of = parent_[of] = parent_[parent_[of]];
    return of;
  }
  void join(uint32_t a, uint32_t b) { parent_[root(a)] = root(b); }

 private:
  std::vector<uint32_t> parent_;
};

std::string site_of(const Trace& trace, uint32_t path) {
  const auto frames = trace.path(path);
  if (frames.empty()) return {};
  const TraceFrame& frame = trace.frames[frames[0]];
  return frame.object.empty() ? std::string() : fmt::format("{}+{:#x}", frame.object, frame.offset);
}

// Visits every event on an object (or, of a wait, on its mutex).
template <class Visit>
void for_each_use(const Trace& trace, const TraceObjects& objects, Visit visit) {
  for (uint32_t thread = 0; thread < trace.threads.size(); ++thread) {
    const auto& events = trace.threads[thread].events;
    const auto& seconds = objects.second_of_event[thread];
    for (size_t i = 0; i < events.size(); ++i) {
      const uint32_t second = seconds.empty() ? kNoObject : seconds[i];
      const uint32_t object = second != kNoObject ? second : objects.of_event[thread][i];
      if (object != kNoObject) visit(object, events[i]);
    }
  }
}

// All of them order one thing, the middleware's table of objects.
SelectedLock of_join_points(const Behaviour& behaviour) {
  std::set<std::string> names;
  std::set<uint64_t> activities;
  for (const OrderedCall& call : behaviour.ordered_calls) {
    names.insert(call.name);
    activities.insert(call.activity);
  }
  SelectedLock lock;
  lock.kind = "join points";
  lock.functions.assign(names.begin(), names.end());
  lock.sites = {"join-points"};
  lock.acquisitions = behaviour.ordered_calls.size();
  lock.objects = 1;
  lock.activities = activities.size();
  return lock;
}

}  // namespace

std::vector<SelectedLock> find_selected_locks(const Trace& trace, const Behaviour& behaviour) {
  const auto& objects = behaviour.objects.objects;
  std::vector<std::set<uint64_t>> activities(objects.size());
  std::vector<bool> selected(objects.size());
  for (const Section& section : behaviour.sections) {
    if (!section.ordered) continue;
    selected[section.object] = true;
    activities[section.object].insert(section.key.activity);
  }
  Sets sets(objects.size());
  std::map<std::string, uint32_t> object_of_site;
  for_each_use(trace, behaviour.objects, [&](uint32_t object, const Event& event) {
    const std::string site = site_of(trace, event.path);
    if (!selected[object] || site.empty()) return;
    const auto [there, is_new] = object_of_site.emplace(site, object);
    // Two kinds of objects at one call site: a function that is given a lock. They stay apart.
    if (!is_new && objects[there->second].kind == objects[object].kind) {
      sets.join(object, there->second);
    }
  });

  std::map<uint32_t, SelectedLock> locks;
  std::map<uint32_t, std::set<std::string>> functions, sites;
  for (const Section& section : behaviour.sections) {
    if (!section.ordered) continue;
    const uint32_t root = sets.root(section.object);
    ++locks[root].acquisitions;
    functions[root].insert(function_of(trace, section.path));
  }
  for_each_use(trace, behaviour.objects, [&](uint32_t object, const Event& event) {
    const std::string site = site_of(trace, event.path);
    if (selected[object] && !site.empty()) sites[sets.root(object)].insert(site);
  });
  for (uint32_t object = 0; object < objects.size(); ++object) {
    if (!selected[object]) continue;
    SelectedLock& lock = locks[sets.root(object)];
    lock.kind = name_of(objects[object].kind);
    ++lock.objects;
    lock.activities = std::max<uint64_t>(lock.activities, activities[object].size());
  }
  std::vector<SelectedLock> found;
  for (auto& [root, lock] : locks) {
    lock.functions.assign(functions[root].begin(), functions[root].end());
    lock.sites.assign(sites[root].begin(), sites[root].end());
    found.push_back(std::move(lock));
  }
  std::stable_sort(found.begin(), found.end(), [](const SelectedLock& a, const SelectedLock& b) {
    return a.acquisitions > b.acquisitions;
  });
  if (!behaviour.ordered_calls.empty()) found.push_back(of_join_points(behaviour));
  return found;
}

}  // namespace auxin::analysis
