// SPDX-License-Identifier: Apache-2.0
//
// Goal: of several failures what they have in common is blamed, and what it is decides the cause:
// a lock that is not ordered, a data race, a value of the process's own. Method: evidence written
// by hand, as the recordings of failures show it.
#include "cli/verify/explanation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace auxin::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kRequest = 17;

// A failure of `function`, and with whom it was side by side.
Evidence failure_of(const std::string& function, const std::vector<std::string>& beside) {
  Evidence evidence;
  evidence.activity = kRequest;
  evidence.replied = function;
  for (const std::string& other : beside) evidence.beside[pair_of(function, other)] = {};
  return evidence;
}

Explanation explain(const std::vector<Evidence>& failures) {
  Explainer explainer;
  for (const Evidence& evidence : failures) explainer.add(evidence);
  return explainer.explain();
}

TEST(Explanation, OfNothingKnownSaysSo) {
  Explainer explainer;
  explainer.add_unknown();
  const Explanation found = explainer.explain();
  EXPECT_EQ(found.cause, Cause::kUnknown);
  EXPECT_EQ(found.sentence, "nothing that was recorded explains it");
}

TEST(Explanation, ALockThatIsNotOrderedGoesBeforeAllThatWasSideBySide) {
  Evidence evidence = failure_of("A::look", {"A::put"});
  evidence.sections[pair_of("A::put", "A::look")] = {"mutex", true};
  const Explanation found = explain({evidence, evidence});
  EXPECT_EQ(found.cause, Cause::kLock);
  EXPECT_THAT(found.functions, ElementsAre("A::look", "A::put"));
  EXPECT_THAT(found.sentence, HasSubstr("on a mutex that is not ordered changed places"));
}

TEST(Explanation, ALockThatChangedPlacesByChanceIsNotBlamed) {
  const Evidence race = failure_of("A::look", {"A::put"});
  Evidence chance = race;
  chance.sections[pair_of("A::log", "A::log")] = {"mutex", false};
  EXPECT_EQ(explain({race, race, chance}).cause, Cause::kDataRace);
}

TEST(Explanation, ALockThatChangedPlacesWhereAllAgreedIsNotBlamed) {
  Evidence evidence = failure_of("A::look", {"A::put"});
  evidence.sections[pair_of("A::log", "A::log")] = {"mutex", true};
  Explainer explainer;
  explainer.add(evidence);
  explainer.add(evidence);
  explainer.add_agreed({pair_of("A::log", "A::log")});
  const Explanation found = explainer.explain();
  EXPECT_EQ(found.cause, Cause::kDataRace);
  EXPECT_THAT(found.functions, ElementsAre("A::look", "A::put"));
}

TEST(Explanation, OfARaceIsWhatWasThereInMostFailures) {
  // That no lock is between them does not make up for their absence.
  Evidence first = failure_of("A::put", {"A::work", "A::look"});
  first.beside[pair_of("A::put", "A::work")].ordered_between = true;
  Evidence other = failure_of("A::put", {"A::work"});
  other.beside[pair_of("A::put", "A::work")].ordered_between = true;
  const Explanation found = explain({first, other, other});
  EXPECT_THAT(found.functions, ElementsAre("A::put", "A::work"));
  EXPECT_EQ(found.seen, 3u);
  EXPECT_THAT(found.sentence, HasSubstr("no lock is around all that they share"));
  EXPECT_THAT(found.others, IsEmpty());
}

TEST(Explanation, OfARaceIsWhatNoOrderedLockKeepsApart) {
  Evidence evidence = failure_of("A::look", {"A::put", "A::take"});
  evidence.beside[pair_of("A::look", "A::put")].ordered_between = true;
  const Explanation found = explain({evidence, evidence});
  EXPECT_THAT(found.functions, ElementsAre("A::look", "A::take"));
  EXPECT_THAT(found.others, ElementsAre(pair_of("A::look", "A::put")));
  EXPECT_THAT(found.sentence, HasSubstr("if they share nothing: A::look and A::put"));
}

TEST(Explanation, OfARaceIsTwoFunctionsBeforeOneTwiceWhichIsNamedToo) {
  const Explanation found = explain({failure_of("A::take", {"A::look", "A::take"})});
  EXPECT_THAT(found.functions, ElementsAre("A::look", "A::take"));
  EXPECT_THAT(found.others, ElementsAre(pair_of("A::take", "A::take")));
}

TEST(Explanation, WhatWasThereInFewFailuresIsNotNamedBesideTheBest) {
  const Evidence usual = failure_of("A::look", {"A::put"});
  const Explanation found = explain({usual, usual, failure_of("A::look", {"A::put", "A::take"})});
  EXPECT_THAT(found.others, IsEmpty());
}

TEST(Explanation, AThreadThatOnlyWaitsIsBlamedLast) {
  Evidence evidence = failure_of("A::look", {"A::put", "Signals::wait"});
  evidence.beside[pair_of("A::look", "A::put")].ordered_between = true;
  evidence.beside[pair_of("A::look", "Signals::wait")].at_rest = true;
  const Explanation found = explain({evidence});
  EXPECT_THAT(found.functions, ElementsAre("A::look", "A::put"));
  EXPECT_THAT(found.others, IsEmpty());
}

TEST(Explanation, WhatHadNobodyBesideItRepliedWithAValue) {
  Evidence evidence = failure_of("A::now", {});
  evidence.value_calls = {"clock"};
  const Explanation found = explain({evidence, failure_of("A::look", {"A::put"})});
  EXPECT_EQ(found.cause, Cause::kValue);
  EXPECT_THAT(found.functions, ElementsAre("A::now"));
  EXPECT_EQ(found.call, "clock");
}

TEST(Explanation, ARequestThatNeverRepliesTheSameRepliedWithAValue) {
  std::vector<Evidence> failures(3, failure_of("A::now", {"A::put"}));
  for (size_t i = 0; i < failures.size(); ++i) {
    failures[i].value_calls = {"clock"};
    failures[i].reply = std::to_string(i);
  }
  EXPECT_EQ(explain(failures).cause, Cause::kValue);
  failures[2].reply = failures[1].reply;  // orders are few
  EXPECT_EQ(explain(failures).cause, Cause::kDataRace);
}

}  // namespace
}  // namespace auxin::cli
