// SPDX-License-Identifier: Apache-2.0
//
// Goal: a recorded function is found in the sources whatever the compiler made of its name, a
// recorded lock is the member that it is, and what the run did not come by is told. Method:
// structures and traces made by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/graph/build.h"
#include "analysis/graph/dot.h"
#include "analysis/graph/operators.h"
#include "analysis/proposal/source_evidence.h"
#include "analysis/structure/function_index.h"
#include "analysis/structure/join.h"

namespace auxin::analysis {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST(FunctionNames, AreComparedWithoutArguments) {
  const auto name = [](const char* text) { return name_without_arguments(text); };
  EXPECT_EQ(name("a::B<int, c::D>::f(long, std::vector<int>) const"), "a::B::f");
  EXPECT_EQ(name("void a::f<int>(int)"), "a::f");
  EXPECT_EQ(name("std::vector<int> a::B<c>::g<d::e>(f::h)"), "a::B::g");
  EXPECT_EQ(name("(anonymous namespace)::f(int)"), "(anonymous namespace)::f");
  EXPECT_EQ(name("a::(anonymous namespace)::B::~B()"), "a::(anonymous namespace)::B::~B");
  EXPECT_EQ(name("a::f(int&)::{lambda(int&)#1}::operator()(int&) const"),
            "a::f::{lambda(int&)#1}");
  EXPECT_EQ(name("f()::{lambda()#1}::operator()() const::{lambda(int)#2}::_FUN(int)"),
            "f::{lambda()#1}::{lambda(int)#2}");
  EXPECT_EQ(name("a::operator<<(std::ostream&, a::B const&)"), "a::operator<<");
  EXPECT_EQ(name("a::B::operator()(int) const"), "a::B::operator()");
  EXPECT_EQ(name("non-virtual thunk to a::B::f(int)"), "a::B::f");
  EXPECT_EQ(name("a::f(int) [clone .part.0]"), "a::f");
  EXPECT_EQ(name("main"), "main");
  for (const std::string odd : {"", "::", "<", "(", "a<b", "operator", "operator<", "}{", "a::"}) {
    EXPECT_LE(name_without_arguments(odd).size(), odd.size()) << odd;
  }
}

StructureFunction function(const std::string& name, const std::string& class_key, uint32_t line,
                           std::vector<std::string> symbols) {
  StructureFunction made;
  made.key = "k:" + name + (name == "main" ? "" : std::to_string(line));
  made.name = name;
  made.class_key = class_key;
  made.symbols = std::move(symbols);
  made.place = {"/bank.cpp", line};
  return made;
}

void calls(StructureFunction& from, const StructureFunction& to, bool is_virtual = false) {
  from.calls.push_back({to.key, from.place.line, is_virtual});
}

// Base ◁ Account { m_, other_ }; Account::deposit takes m_ and withdraw, its sibling, too; peek
// takes it in read(), which the compiler put into it.
class JoinTest : public ::testing::Test {
 protected:
  // As the functions' indices.
  enum : uint32_t { kMain, kDeposit, kWithdraw, kPeek, kRead, kLocked, kOtherMain, kUnreached };

  void SetUp() override {
    structure_.units = 1;
    structure_.classes = {
        {"Base", "bank::Base", {"/bank.h", 1}, {}, {}},
        {"Account",
         "bank::Account",
         {"/bank.h", 2},
         {"Base"},
         {{"m_", "std::mutex", {"/bank.h", 3}, SynchronisationKind::kMutex},
          {"other_", "std::mutex", {"/bank.h", 4}, SynchronisationKind::kMutex},
          {"wake_", "std::condition_variable", {"/bank.h", 5}, SynchronisationKind::kCondition}}}};
    structure_.functions = {function("main", "", 10, {"main"}),
                            function("bank::Account::deposit", "Account", 20, {"_Zdeposit"}),
                            function("bank::Account::withdraw", "Account", 30, {"_Zwithdraw"}),
                            function("bank::Account::peek", "Account", 40, {"_Zpeek"}),
                            function("bank::Account::read", "Account", 50, {"_Zread"}),
                            function("bank::locked", "", 60, {}),
                            function("main", "", 70, {"main"}),
                            function("bank::unreached", "", 80, {"_Zunreached"})};
    auto& functions = structure_.functions;
    calls(functions[kMain], functions[kDeposit]);
    calls(functions[kMain], functions[kWithdraw]);
    calls(functions[kPeek], functions[kRead]);
    functions[kDeposit].mentions = {{"bank::Account::m_", 21}, {"bank::Account::wake_", 22}};
    functions[kWithdraw].mentions = {{"bank::Account::m_", 31}, {"bank::Account::other_", 32}};
    functions[kRead].mentions = {{"bank::Account::m_", 51}};
    functions[kUnreached].mentions = {{"bank::Account::m_", 81}};

    trace_.command = "bank";
    trace_.calls = {{"pthread_mutex_lock", os::Family::mutex}};
    for (const auto& [symbol, name] : std::initializer_list<std::pair<const char*, const char*>>{
             {"main", "main"},
             {"_Zdeposit.part.0", "bank::Account::deposit(long) [clone .part.0]"},
             {"_Zpeek", "bank::Account::peek()"},
             {"_Zlocked", "void bank::locked<int>(int)"},
             {"_Zlock", "std::mutex::lock()"},
             {"_Zorb", "orb::allocate()"}}) {
      TraceFrame frame;
      frame.symbol = symbol;
      frame.function = name;
      frame.object = "bank";
      trace_.frames.push_back(frame);
    }
    // All are seen. By: deposit       peek     through a template   behind the ORB
    trace_.paths = {{}, {4, 1, 0}, {2, 0}, {4, 3, 1, 0}, {5, 1, 0}};
    trace_.threads.push_back({1, 1, "main", {}});
  }

  void lock(uint64_t address, uint32_t path) {
    trace_.threads[0].events.push_back({trace_.threads[0].events.size() + 1, 0, path, address, 0,
                                        recording::kNoJoinPoint, 0});
  }
  StructureJoin joined() {
    objects_ = find_objects(trace_);
    return join(structure_, trace_, objects_);
  }
  std::vector<std::string> unseen(const StructureJoin& join) const {
    std::vector<std::string> uses;
    for (const UnseenUse& use : join.unseen_uses) {
      uses.push_back(structure_.functions[use.function].name + " " + use.object);
    }
    return uses;
  }

  Structure structure_;
  Trace trace_;
  TraceObjects objects_;
};

TEST_F(JoinTest, FramesAreFunctionsAlsoInPartsAndOfTemplates) {
  lock(0x10, 1);
  const StructureJoin join = joined();
  EXPECT_EQ(join.function_of_frame[1], kDeposit);
  EXPECT_EQ(join.function_of_frame[3], kLocked);
  EXPECT_EQ(join.function_of_frame[5], kNoFunction);
  // Of two programs' main the one that leads to what was recorded.
  EXPECT_EQ(join.function_of_frame[0], kMain);
  EXPECT_THAT(join.remarks, IsEmpty());
}

TEST_F(JoinTest, AMainThatCannotBeToldIsNamed) {
  structure_.functions[kOtherMain].calls = structure_.functions[kMain].calls;
  lock(0x10, 1);
  const StructureJoin join = joined();
  EXPECT_EQ(join.function_of_frame[0], kNoFunction);
  EXPECT_EQ(join.remarks.size(), 1u);
}

TEST_F(JoinTest, ALockIsTheMemberThatItsFunctionsMention) {
  lock(0x10, 1);
  EXPECT_THAT(joined().of_object, ElementsAre(ElementsAre("bank::Account::m_")));
}

TEST_F(JoinTest, OfSeveralFunctionsAllMeanIt) {
  structure_.functions[kPeek].mentions = {{"bank::Account::m_", 41}, {"bank::Account::other_", 42}};
  lock(0x10, 2);
  EXPECT_THAT(joined().of_object[0],
              ElementsAre("bank::Account::m_", "bank::Account::other_"));
  lock(0x10, 1);
  EXPECT_THAT(joined().of_object[0], ElementsAre("bank::Account::m_"));
}

TEST_F(JoinTest, ALockMayBeTakenInWhatWasInlinedOrPassedOn) {
  lock(0x10, 2);
  lock(0x20, 3);
  const StructureJoin join = joined();
  EXPECT_THAT(join.of_object, ElementsAre(ElementsAre("bank::Account::m_"),
                                          ElementsAre("bank::Account::m_")));
  EXPECT_THAT(unseen(join), ::testing::Not(::testing::Contains("bank::Account::read "
                                                               "bank::Account::m_")));
}

TEST_F(JoinTest, ALockOfSomebodyElseBehindACallIsNotAMember) {
  lock(0x10, 4);
  EXPECT_THAT(joined().of_object, ElementsAre(IsEmpty()));
}

TEST_F(JoinTest, WhatTheRunDidNotComeByIsTold) {
  lock(0x10, 1);
  const StructureJoin join = joined();
  EXPECT_THAT(unseen(join), UnorderedElementsAre("bank::Account::deposit bank::Account::wake_",
                                                 "bank::Account::withdraw bank::Account::m_",
                                                 "bank::Account::withdraw bank::Account::other_",
                                                 "bank::Account::read bank::Account::m_"));
  std::vector<std::string> objects;
  for (const UnseenObject& object : join.unseen_objects) objects.push_back(object.name);
  EXPECT_THAT(objects, UnorderedElementsAre("bank::Account::other_", "bank::Account::wake_"));
  for (const UnseenUse& use : join.unseen_uses) {
    EXPECT_EQ(use.called_by.size(), use.function == kDeposit ? 0u : 1u);
  }
}

TEST_F(JoinTest, TheGraphSaysPlacesClassesAndMembers) {
  lock(0x10, 1);
  const StructureJoin join = joined();
  Graph graph = build_graph(trace_, objects_, &join);
  auto found = apply_all(*parse_operations("filter derived:bank::Base"), graph);
  ASSERT_TRUE(found) << found.error();
  ASSERT_EQ(found->nodes.size(), 2u);
  EXPECT_EQ(found->nodes[0].place.text(), "bank.cpp:20");
  EXPECT_EQ(found->nodes[0].class_name, "bank::Account");
  EXPECT_THAT(found->nodes[1].declared, ElementsAre("bank::Account::m_ bank.h:3"));
  EXPECT_THAT(to_dot(*found), ::testing::HasSubstr("bank::Account::m_ bank.h:3"));
  EXPECT_EQ(to_json(*found)["nodes"][0]["place"]["line"], 20);

  add_unseen(graph, join);
  auto unseen = apply_all(*parse_operations("edges may-call may-take"), graph);
  ASSERT_TRUE(unseen) << unseen.error();
  std::vector<std::string> edges;
  for (const Edge& edge : unseen->edges) {
    edges.push_back(unseen->nodes[edge.from].name + " " + name_of(edge.kind) + " " +
                    unseen->nodes[edge.to].name);
  }
  // peek() itself takes nothing in this run: it is only where read() can be come to.
  const std::string lock = "mutex used in std::mutex::lock ← bank::Account::deposit #1";
  EXPECT_THAT(edges,
              UnorderedElementsAre(
                  "main may-call bank::Account::withdraw",
                  "bank::Account::withdraw may-take " + lock,
                  "bank::Account::withdraw may-take bank::Account::other_ (not recorded)",
                  trace_.frames[1].function + " may-take bank::Account::wake_ (not recorded)",
                  "bank::Account::peek may-call bank::Account::read",
                  "bank::Account::read may-take " + lock));
}

TEST_F(JoinTest, AProposedMapSaysWhatTheSourcesSay) {
  lock(0x10, 1);
  const StructureJoin join = joined();
  Proposal proposal;
  ProposedJoinPoint point;
  point.function = "bank::Account::withdraw(long)";
  proposal.join_points.push_back(point);
  point.function = "orb::allocate()";
  proposal.join_points.push_back(point);
  add_source_evidence(proposal, join);
  EXPECT_THAT(proposal.join_points[0].evidence,
              ElementsAre("in the sources at bank.cpp:30; it uses bank::Account::m_ (bank.h:3), "
                          "bank::Account::other_ (bank.h:4)"));
  EXPECT_THAT(proposal.join_points[1].evidence, IsEmpty());
  EXPECT_THAT(
      proposal.missing,
      ElementsAre("locks that the sources have and no call was seen of: bank::Account::other_ "
                  "(bank.h:4), bank::Account::wake_ (bank.h:5)",
                  "functions of the sources that use locks and were not seen to: "
                  "bank::Account::deposit (bank.cpp:22), bank::Account::withdraw (bank.cpp:31), "
                  "bank::Account::read (bank.cpp:51)"));
}

}  // namespace
}  // namespace auxin::analysis
