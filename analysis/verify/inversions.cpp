// SPDX-License-Identifier: Apache-2.0
#include "analysis/verify/inversions.h"

#include <algorithm>
#include <map>
#include <optional>

namespace auxin::analysis {
namespace {

constexpr size_t kFarthest = 64;  // sections on one lock between two that are compared
constexpr uint64_t kMainActivity = uint64_t{1} << 63 | 1;

bool is_candidate(const Section& section) {
  return !section.ordered && !section.middleware && section.key.activity != 0;
}

// In the other run the second of them came first.
bool changed_places(const Section& first, const Section& second, const Behaviour& other,
                    const std::map<PassKey, uint32_t>& places) {
  const auto there_second = places.find(second.key);
  if (there_second == places.end()) return false;
  const auto there_first = places.find(first.key);
  if (there_first == places.end()) return true;
  const Section& a = other.sections[there_first->second];
  const Section& b = other.sections[there_second->second];
  return a.object == b.object && b.acquired < a.acquired;
}

std::optional<Relation> relation_of(const Work* own, const Work* work) {
  if (own == nullptr || work == nullptr) return std::nullopt;
  if (is_thread_activity(work->activity)) return Relation::kSideBySide;
  if (work->end < own->begin) return Relation::kBefore;
  if (own->end < work->begin) return Relation::kAfter;
  return Relation::kSideBySide;
}

std::map<uint64_t, const Work*> works_by_activity(const Behaviour& behaviour) {
  std::map<uint64_t, const Work*> works;
  for (const Work& work : behaviour.works) works.emplace(work.activity, &work);
  return works;
}

// The ordered locks that each activity passes: which, and whether as a reader only.
using Passed = std::map<uint64_t, std::map<uint32_t, bool>>;
Passed ordered_locks(const Behaviour& behaviour) {
  Passed passed;
  for (const Section& section : behaviour.sections) {
    if (!section.ordered) continue;
    // A semaphore may let several in.
    if (behaviour.objects.objects[section.object].kind == ObjectKind::kSemaphore) continue;
    const auto [there, is_new] =
        passed[section.key.activity].emplace(section.object, section.shared);
    if (!is_new) there->second = there->second && section.shared;
  }
  return passed;
}

bool ordered_between(const Passed& passed, uint64_t a, uint64_t b) {
  const auto of_a = passed.find(a), of_b = passed.find(b);
  if (of_a == passed.end() || of_b == passed.end()) return false;
  for (const auto& [object, shared] : of_a->second) {
    const auto same = of_b->second.find(object);
    if (same != of_b->second.end() && !(shared && same->second)) return true;
  }
  return false;
}

}  // namespace

std::vector<Inversion> find_inversions(const Behaviour& base, const Behaviour& other,
                                       uint64_t activity) {
  std::map<PassKey, uint32_t> places;
  for (uint32_t i = 0; i < other.sections.size(); ++i) {
    if (is_candidate(other.sections[i])) places.emplace(other.sections[i].key, i);
  }
  std::map<uint32_t, std::vector<uint32_t>> by_object;
  for (uint32_t i = 0; i < base.sections.size(); ++i) {
    if (is_candidate(base.sections[i])) by_object[base.sections[i].object].push_back(i);
  }
  struct Found {
    Inversion inversion;
    size_t distance;
  };
  std::vector<Found> found;
  for (const auto& [object, passes] : by_object) {
    for (size_t j = 1; j < passes.size(); ++j) {
      const Section& second = base.sections[passes[j]];
      for (size_t i = j; i-- > 0 && j - i <= kFarthest;) {
        const Section& first = base.sections[passes[i]];
        if (first.key.activity == second.key.activity || (first.shared && second.shared)) continue;
        if (!changed_places(first, second, other, places)) continue;
        const bool touches =
            first.key.activity == activity || second.key.activity == activity;
        found.push_back({{passes[i], passes[j], touches}, j - i});
      }
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
    if (a.inversion.touches != b.inversion.touches) return a.inversion.touches;
    if (a.inversion.touches && a.distance != b.distance) return a.distance < b.distance;
    return a.inversion.second < b.inversion.second;
  });
  std::vector<Inversion> inversions;
  for (const Found& each : found) inversions.push_back(each.inversion);
  return inversions;
}

std::vector<Neighbour> find_neighbours(const Behaviour& base, const Behaviour& other,
                                       uint64_t activity) {
  const auto in_base = works_by_activity(base), in_other = works_by_activity(other);
  const auto at = [](const std::map<uint64_t, const Work*>& works, uint64_t wanted) {
    const auto there = works.find(wanted);
    return there == works.end() ? nullptr : there->second;
  };
  const Work* const own_base = at(in_base, activity);
  const Work* const own_other = at(in_other, activity);
  const Passed passed = ordered_locks(base);
  std::vector<Neighbour> neighbours;
  for (const auto& [name, work] : in_base) {
    if (name == activity || name == kMainActivity) continue;
    const auto then = relation_of(own_base, work);
    // What had not begun when the other run ended came later there.
    const Work* const there = at(in_other, name);
    const auto now = there != nullptr ? relation_of(own_other, there)
                                      : std::optional<Relation>(Relation::kAfter);
    if (!then || !now) continue;
    if (then == now && then != Relation::kSideBySide) continue;
    // The base run goes on when the other one has ended.
    const bool at_rest = is_thread_activity(name) && work->last_call < own_base->begin;
    neighbours.push_back(
        {name, work->function, *then, *now, ordered_between(passed, activity, name), at_rest});
  }
  return neighbours;
}

const Work* work_of(const Behaviour& behaviour, uint64_t activity) {
  for (const Work& work : behaviour.works) {
    if (work.activity == activity) return &work;
  }
  return nullptr;
}

}  // namespace auxin::analysis
