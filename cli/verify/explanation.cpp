// SPDX-License-Identifier: Apache-2.0
#include "cli/verify/explanation.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace auxin::cli {
namespace {

constexpr size_t kRepliesOfAValue = 3;  // of one request, all different
constexpr size_t kOtherPairs = 3;       // that are named beside the best one

std::string in_cases(uint64_t seen, uint64_t of) {
  return of == 1 ? std::string() : fmt::format(" (in {} of {} failures)", seen, of);
}

}  // namespace

void Explainer::add(Evidence evidence) {
  ++count_;
  touching_.emplace_back();
  for (const auto& [functions, swapped] : evidence.sections) {
    Sections& pair = sections_[functions];
    pair.lock_kind = swapped.lock_kind;
    ++pair.seen;
    if (!swapped.touches) continue;
    ++pair.touching;
    touching_.back().insert(functions);
  }
  if (evidence.replied.empty()) return;
  replied_ = evidence.replied;
  if (!evidence.reply.empty()) replies_[evidence.activity].insert(evidence.reply);
  if (value_calls_.empty()) value_calls_ = std::move(evidence.value_calls);
  for (const auto& [functions, work] : evidence.beside) {
    Beside& pair = beside_[functions];
    pair.ordered_between = pair.ordered_between && work.ordered_between;
    pair.at_rest = pair.at_rest && work.at_rest;
    ++pair.seen;
  }
  if (evidence.beside.empty()) ++alone_[evidence.replied];
}

void Explainer::add_agreed(const std::vector<FunctionPair>& pairs) {
  ++agreed_count_;
  harmless_.insert(pairs.begin(), pairs.end());
}

// In most failures the request that differed took a lock in another order.
bool Explainer::mostly_sections() const {
  uint64_t count = 0;
  for (const std::set<FunctionPair>& pairs : touching_) {
    count += std::any_of(pairs.begin(), pairs.end(), [this](const FunctionPair& pair) {
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

std::string Explainer::joined_calls() const {
  std::string text;
  for (const std::string& call : value_calls_) text += (text.empty() ? "" : ", ") + call;
  return text;
}

bool Explainer::explain_by_lock(Explanation* result) const {
  const auto rank = [this](const auto& each) {
    // Of equals not a function with itself: two readers change places and nothing differs.
    return std::tuple(!harmless_.contains(each.first), each.second.touching, each.second.seen,
                      each.first[0] != each.first[1]);
  };
  const auto best =
      std::max_element(sections_.begin(), sections_.end(),
                       [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  if (best == sections_.end()) return false;
  // One that was there by chance, in a few failures only, explains nothing where there is more.
  const bool in_most = mostly_sections() ||
                       (2 * best->second.seen > count_ && !harmless_.contains(best->first));
  if (!in_most && !(alone_.empty() && ranked_beside().empty())) return false;
  result->cause = Cause::kLock;
  result->functions = best->first;
  result->lock_kind = best->second.lock_kind;
  result->seen = best->second.seen;
  result->sentence = fmt::format(
      "critical sections of {} on a {} that is not ordered changed places{}; order that lock",
      both(result->functions), result->lock_kind, in_cases(result->seen, result->of));
  return true;
}

bool Explainer::explain_by_value(Explanation* result) const {
  if (alone_.empty() && !value_calls_.empty() && never_the_same()) {
    result->cause = Cause::kValue;
    result->functions = {replied_};
    result->seen = count_;
    result->call = joined_calls();
    result->sentence = fmt::format(
        "{} replied differently each time (in {} failures): with a value of this process's own; "
        "the server calls {}",
        replied_, count_, result->call);
    return true;
  }
  if (alone_.empty()) return false;
  const auto best =
      std::max_element(alone_.begin(), alone_.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  result->cause = Cause::kValue;
  result->functions = {best->first};
  result->seen = best->second;
  result->call = joined_calls();
  result->sentence = fmt::format(
      "{} replied differently with nobody beside it{}: with a value of this process's own{}",
      best->first, in_cases(result->seen, result->of),
      result->call.empty() ? std::string() : "; the server calls " + result->call);
  return true;
}

// The most suspicious first.
std::vector<FunctionPair> Explainer::ranked_beside() const {
  const auto rank = [this](const FunctionPair& functions) {
    const Beside& pair = beside_.at(functions);
    return std::tuple(2 * pair.seen > count_, !pair.at_rest, !pair.ordered_between, pair.seen,
                      functions[0] != functions[1]);
  };
  std::vector<FunctionPair> pairs;
  for (const auto& [functions, pair] : beside_) pairs.push_back(functions);
  std::stable_sort(pairs.begin(), pairs.end(), [&](const FunctionPair& a, const FunctionPair& b) {
    return rank(a) > rank(b);
  });
  return pairs;
}

void Explainer::explain_by_race(Explanation* result) const {
  const std::vector<FunctionPair> pairs = ranked_beside();
  if (pairs.empty()) {
    result->sentence = "nothing that was recorded explains it";
    return;
  }
  const Beside& best = beside_.at(pairs[0]);
  result->cause = Cause::kDataRace;
  result->functions = pairs[0];
  result->seen = best.seen;
  result->sentence = fmt::format(
      "data race: {} ran side by side or changed places, and {}{}; guard what they share with a "
      "lock",
      both(result->functions),
      best.ordered_between ? "no lock is around all that they share" : "no lock is between them",
      in_cases(result->seen, result->of));
  std::string others;
  for (size_t i = 1; i < pairs.size() && i <= kOtherPairs; ++i) {
    const Beside& other = beside_.at(pairs[i]);
    if (2 * other.seen <= count_ || other.at_rest) break;
    result->others.push_back(pairs[i]);
    others += (others.empty() ? "" : ", or ") + both(pairs[i]);
  }
  if (!others.empty()) result->sentence += fmt::format(" (if they share nothing: {})", others);
}

Explanation Explainer::explain() const {
  Explanation result;
  result.of = count_;
  if (!explain_by_lock(&result) && !explain_by_value(&result)) explain_by_race(&result);
  return result;
}

}  // namespace auxin::cli
