// SPDX-License-Identifier: Apache-2.0
//
// Goal: objects keep their identity however addresses are reused, the graph says what the trace
// says, and each operator does what its line in operators.h says. Method: small traces and graphs
// made by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "analysis/graph/build.h"
#include "analysis/graph/dot.h"
#include "analysis/graph/objects.h"
#include "analysis/graph/operators.h"

namespace auxin::analysis {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

enum : uint16_t {
  kInit, kDestroy, kLock, kUnlock, kWait, kSignal, kAccept, kRecv, kClose, kCreate
};

Trace empty_trace() {
  Trace trace;
  trace.command = "server";
  trace.calls = {{"pthread_mutex_init", os::Family::mutex},
                 {"pthread_mutex_destroy", os::Family::mutex},
                 {"pthread_mutex_lock", os::Family::mutex},
                 {"pthread_mutex_unlock", os::Family::mutex},
                 {"pthread_cond_wait", os::Family::condition},
                 {"pthread_cond_signal", os::Family::condition},
                 {"accept", os::Family::socket},
                 {"recv", os::Family::socket},
                 {"close", os::Family::descriptor},
                 {"pthread_create", os::Family::thread}};
  const auto frame = [&](const char* function, const char* object) {
    TraceFrame made;
    made.function = function;
    made.object = object;
    trace.frames.push_back(made);
  };
  frame("main", "server");                       // 0
  frame("orb::Worker::run(int)", "liborb.so");   // 1
  frame("orb::Pool::Pool()", "liborb.so");       // 2
  frame("Account::deposit(long)", "server");     // 3
  trace.paths = {{}, {2, 0}, {3, 1}, {1}, {0}};
  trace.threads.push_back({100, 0xa0, "main", {}});
  trace.threads.push_back({101, 0xa1, "worker", {}});
  return trace;
}

void put(Trace& trace, uint32_t thread, uint64_t when, uint16_t kind, uint64_t object,
         uint32_t path, int32_t result = 0) {
  trace.threads[thread].events.push_back(
      {when, 0, path, object, kind, recording::kNoJoinPoint, result});
}

TEST(Objects, AtAReusedAddressAreTwo) {
  Trace trace = empty_trace();
  put(trace, 0, 1, kInit, 0x10, 1);
  put(trace, 0, 2, kLock, 0x10, 2);
  put(trace, 0, 3, kDestroy, 0x10, 1);
  put(trace, 0, 4, kInit, 0x10, 4);
  put(trace, 0, 5, kLock, 0x10, 2);
  const TraceObjects found = find_objects(trace);
  ASSERT_EQ(found.objects.size(), 2u);
  EXPECT_EQ(found.objects[0].made_path, 1u);
  EXPECT_EQ(found.objects[1].made_path, 4u);
  EXPECT_EQ(found.of_event[0][1], 0u);
  EXPECT_EQ(found.of_event[0][4], 1u);
}

TEST(Objects, AreOneAcrossThreadsInTheOrderOfTime) {
  Trace trace = empty_trace();
  put(trace, 1, 20, kLock, 0x10, 2);  // the thread that comes later in the file uses it first
  put(trace, 0, 10, kInit, 0x10, 1);
  put(trace, 0, 30, kDestroy, 0x10, 1);
  const TraceObjects found = find_objects(trace);
  ASSERT_EQ(found.objects.size(), 1u);
  EXPECT_EQ(found.of_event[1][0], 0u);
  EXPECT_EQ(found.objects[0].made_path, 1u);
}

TEST(Objects, ConnectionsBeginWithAcceptAndEndWithClose) {
  Trace trace = empty_trace();
  for (int turn = 0; turn < 2; ++turn) {
    put(trace, 0, 10 * turn + 1, kAccept, 3, 4, 7);
    put(trace, 0, 10 * turn + 2, kRecv, 7, 3, 24);
    put(trace, 0, 10 * turn + 3, kClose, 7, 3);
  }
  put(trace, 0, 40, kAccept, 3, 4, -11);
  const TraceObjects found = find_objects(trace);
  EXPECT_EQ(found.objects.size(), 2u);
  EXPECT_NE(found.of_event[0][1], found.of_event[0][4]);
}

TEST(Objects, AWaitHasItsMutexToo) {
  Trace trace = empty_trace();
  put(trace, 0, 1, kWait, 0x50, 3);
  trace.threads[0].events.push_back(
      {0, 0, 0, 0x10, recording::kSecond, recording::kNoJoinPoint, 0});
  put(trace, 0, 2, kUnlock, 0x10, 3);
  const TraceObjects found = find_objects(trace);
  ASSERT_EQ(found.objects.size(), 2u);
  EXPECT_EQ(found.second_of_event[0][0], found.of_event[0][2]);
}

const Node* named(const Graph& graph, const std::string& name) {
  for (const Node& node : graph.nodes) {
    if (node.name == name) return &node;
  }
  return nullptr;
}

uint64_t between(const Graph& graph, const std::string& from, const std::string& to,
                 EdgeKind kind) {
  for (const Edge& edge : graph.edges) {
    if (edge.kind == kind && graph.nodes[edge.from].name == from &&
        graph.nodes[edge.to].name == to) {
      return edge.count;
    }
  }
  return 0;
}

Graph sample() {
  Trace trace = empty_trace();
  put(trace, 0, 1, kInit, 0x10, 1);
  put(trace, 0, 2, kCreate, 0xa1, 4);
  for (int i = 0; i < 5; ++i) {
    put(trace, 1, 10 + 2 * i, kLock | recording::kOrdered | recording::kIntercepted, 0x10, 2);
    put(trace, 1, 11 + 2 * i, kUnlock | recording::kIntercepted, 0x10, 2);
  }
  return build_graph(trace, find_objects(trace));
}

constexpr char kMutex[] = "mutex of orb::Pool::Pool ← main #1";

TEST(BuildGraph, SaysWhoMakesCallsAndTakesWhat) {
  const Graph graph = sample();
  EXPECT_EQ(between(graph, "main", "thread 101 worker", EdgeKind::kMakes), 1u);
  EXPECT_EQ(between(graph, "thread 101 worker", "orb::Worker::run(int)", EdgeKind::kRuns), 10u);
  EXPECT_EQ(between(graph, "orb::Worker::run(int)", "Account::deposit(long)", EdgeKind::kCalls),
            10u);
  EXPECT_EQ(between(graph, "Account::deposit(long)", kMutex, EdgeKind::kTakes), 5u);
  EXPECT_EQ(between(graph, "orb::Pool::Pool()", kMutex, EdgeKind::kMakes), 1u);
  ASSERT_NE(named(graph, kMutex), nullptr);
  EXPECT_EQ(named(graph, kMutex)->ordered, 5u);
  EXPECT_EQ(named(graph, "Account::deposit(long)")->class_name, "Account");
}

// a → b → c → d, a → e → d; f alone. Counts by letter.
Graph letters() {
  Graph graph;
  const char* libraries[] = {"one", "two", "two", "one", "three", "three"};
  for (int i = 0; i < 6; ++i) {
    Node node;
    node.name = std::string(1, static_cast<char>('a' + i));
    node.library = libraries[i];
    node.class_name = i < 2 ? "first" : "second";
    node.count = static_cast<uint64_t>(10 * (i + 1));
    graph.nodes.push_back(node);
  }
  const std::pair<uint32_t, uint32_t> edges[] = {{0, 1}, {1, 2}, {2, 3}, {0, 4}, {4, 3}};
  for (const auto& [from, to] : edges) {
    graph.edges.push_back({from, to, EdgeKind::kCalls, 7, Side::kBoth, 0});
  }
  return graph;
}

std::vector<std::string> edges_of(const Graph& graph) {
  std::vector<std::string> texts;
  for (const Edge& edge : graph.edges) {
    texts.push_back(graph.nodes[edge.from].name + ">" + graph.nodes[edge.to].name);
  }
  return texts;
}

std::vector<std::string> names_of(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes) names.push_back(node.name);
  return names;
}

Graph after(const std::string& text) {
  auto operations = parse_operations(text);
  EXPECT_TRUE(operations) << operations.error();
  auto graph = apply_all(*operations, letters());
  EXPECT_TRUE(graph) << graph.error();
  return *graph;
}

TEST(Operators, FilterAndWithoutBridgeWhatGoes) {
  EXPECT_THAT(edges_of(after("filter a d")), UnorderedElementsAre("a>d"));
  EXPECT_THAT(edges_of(after("without b")), UnorderedElementsAre("a>c", "c>d", "a>e", "e>d"));
  EXPECT_THAT(names_of(after("filter library:t*")), UnorderedElementsAre("b", "c", "e", "f"));
}

TEST(Operators, FromAndToFollowTheEdges) {
  EXPECT_THAT(names_of(after("from b")), UnorderedElementsAre("b", "c", "d"));
  EXPECT_THAT(names_of(after("to c")), UnorderedElementsAre("a", "b", "c"));
}

TEST(Operators, FocusGoesSoManyEdgesBothWays) {
  EXPECT_THAT(names_of(after("focus c")), UnorderedElementsAre("b", "c", "d"));
  EXPECT_THAT(names_of(after("focus c 2")), UnorderedElementsAre("a", "b", "c", "d"));
}

TEST(Operators, CutTakesWhatOnlyLedThroughIt) {
  EXPECT_THAT(names_of(after("cut b")), UnorderedElementsAre("a", "d", "e", "f"));
}

TEST(Operators, GroupSumsUp) {
  const Graph graph = after("group library");
  EXPECT_THAT(names_of(graph), UnorderedElementsAre("one", "two", "three"));
  EXPECT_EQ(named(graph, "two")->members, 2u);
  EXPECT_EQ(named(graph, "two")->count, 50u);
  EXPECT_THAT(edges_of(graph),
              UnorderedElementsAre("one>two", "two>one", "one>three", "three>one"));
}

TEST(Operators, CollapseMakesAChainOne) {
  const Graph graph = after("collapse");
  EXPECT_THAT(names_of(graph), UnorderedElementsAre("a", "b\n→ c", "d", "e", "f"));
  EXPECT_THAT(edges_of(graph), UnorderedElementsAre("a>b\n→ c", "b\n→ c>d", "a>e", "e>d"));
}

TEST(Operators, TopKeepsTheMostCalledAndSaysSo) {
  const Graph graph = after("top 2");
  EXPECT_THAT(names_of(graph), UnorderedElementsAre("e", "f"));
  ASSERT_EQ(graph.notes.size(), 1u);
  EXPECT_THAT(graph.notes[0], HasSubstr("2 nodes with the most calls, of 6"));
}

TEST(Operators, AreReadFromLinesWithCommentsAndQuotes) {
  auto operations = parse_operations("# a picture\nfilter 'a b' c | top 3\n\n  collapse # all\n");
  ASSERT_TRUE(operations) << operations.error();
  ASSERT_EQ(operations->size(), 3u);
  EXPECT_THAT((*operations)[0].arguments, ::testing::ElementsAre("a b", "c"));
  EXPECT_EQ((*operations)[2].name, "collapse");
}

TEST(Operators, WhatIsWrongIsNamed) {
  EXPECT_THAT(parse_operations("fliter a").error(), HasSubstr("no operator 'fliter'; filter"));
  EXPECT_THAT(parse_operations("filter").error(), HasSubstr("takes at least one word, not 0"));
  EXPECT_THAT(parse_operations("filter 'a").error(), HasSubstr("quote is not closed"));
  const auto error_of = [](const std::string& text) {
    return apply_all(*parse_operations(text), letters()).error();
  };
  EXPECT_THAT(error_of("filter zz*"), HasSubstr("'filter zz*' matches nothing"));
  EXPECT_THAT(error_of("top x"), HasSubstr("'x' is not a number"));
  EXPECT_THAT(error_of("nodes locks"), HasSubstr("no kind 'locks'"));
  EXPECT_THAT(error_of("group colour"), HasSubstr("no 'colour'"));
}

TEST(Compare, MarksWhatOnlyOneHas) {
  Graph second = letters();
  second.nodes[5].name = "g";
  second.edges.pop_back();
  second.nodes[0].count = 3;
  const Graph both = compare(letters(), second);
  EXPECT_EQ(named(both, "f")->side, Side::kFirst);
  EXPECT_EQ(named(both, "g")->side, Side::kSecond);
  EXPECT_EQ(named(both, "a")->side, Side::kBoth);
  EXPECT_EQ(named(both, "a")->count, 10u);
  EXPECT_EQ(named(both, "a")->other_count, 3u);
  EXPECT_EQ(std::count_if(both.edges.begin(), both.edges.end(),
                          [](const Edge& edge) { return edge.side == Side::kFirst; }),
            1);
}

TEST(Names, AreShortenedWithoutLosingTheirClass) {
  EXPECT_EQ(short_name("omni::GIOP_S::dispatcher()"), "omni::GIOP_S::dispatcher");
  EXPECT_EQ(short_name("std::map<int, std::string>::find(int const&)"), "std::map<…>::find");
  EXPECT_EQ(short_name("(anonymous namespace)::f(int)"), "(anonymous namespace)::f");
  EXPECT_EQ(short_name("A::operator()(int)"), "A::operator()");
  EXPECT_EQ(short_name("A::operator<(A const&)"), "A::operator<");
  EXPECT_EQ(class_of("omni::GIOP_S::dispatcher()"), "omni::GIOP_S");
  EXPECT_EQ(class_of("main"), "");
}

TEST(Dot, QuotesWhatAnyNameMayContain) {
  Graph graph = letters();
  graph.nodes[0].name = "a\"]; n1 -> n2 [label=\"\\";
  graph.title = "x\ny\x01";
  const std::string dot = to_dot(graph);
  EXPECT_THAT(dot, HasSubstr(R"(tooltip="a\"]; n1 -> n2 [label=\"\\"])"));
  EXPECT_THAT(dot, HasSubstr(R"(label="x\ny")"));
}

TEST(Dot, IsDrawn) {
  auto svg = to_svg(letters());
  ASSERT_TRUE(svg) << svg.error();
  EXPECT_THAT(*svg, HasSubstr("</svg>"));
}

}  // namespace
}  // namespace auxin::analysis
