// SPDX-License-Identifier: Apache-2.0
//
// Goal: the numbers of a lock report are those of the trace. Method: traces made by hand, whose
// counts are known.
#include <gtest/gtest.h>

#include "analysis/locks/lock_report.h"
#include "analysis/locks/synchronisation_calls.h"

namespace auxin::analysis {
namespace {

enum : uint16_t { kLock, kUnlock, kWait, kRecv, kCreate };
enum : uint16_t { kDispatcher, kRequest, kUpcall };

// Builds a trace of one module's functions, event by event.
class Scene {
 public:
  Scene() {
    trace_.calls = {{"pthread_mutex_lock", os::Family::mutex},
                    {"pthread_mutex_unlock", os::Family::mutex},
                    {"pthread_cond_wait", os::Family::condition},
                    {"recv", os::Family::socket},
                    {"pthread_create", os::Family::thread}};
    trace_.join_points = {{"dispatcher", "dispatcher"}, {"request", "request"},
                          {"upcall", "upcall"}};
    trace_.strings = std::string("deposit\0ping\0", 13);
    trace_.duration_ns = 2'000'000'000;
    trace_.ns_per_tick = 1000;  // a tick is a microsecond
  }
  uint32_t path(std::vector<std::pair<std::string, std::string>> functions) {
    if (trace_.paths.empty()) trace_.paths.resize(1);
    std::vector<uint32_t> frames;
    for (auto& [function, object] : functions) {
      TraceFrame frame;
      frame.function = function;
      frame.object = object;
      frame.address = ++address_;
      trace_.frames.push_back(frame);
      frames.push_back(static_cast<uint32_t>(trace_.frames.size() - 1));
    }
    trace_.paths.push_back(frames);
    return static_cast<uint32_t>(trace_.paths.size() - 1);
  }
  void thread() { trace_.threads.push_back({100, 1, "worker", {}}); }
  void call(uint16_t kind, uint32_t of_path, uint16_t flags = 0,
            uint16_t join_point = recording::kNoJoinPoint) {
    put({clock_, 1, of_path, 0x10, static_cast<uint16_t>(kind | flags), join_point, 0});
  }
  void enter(uint16_t point) { put({clock_, 0, 0, 1, recording::kEntered, point, 0}); }
  void leave(uint16_t point) { put({clock_, 0, 0, 0, recording::kLeft, point, 0}); }
  void operation(uint64_t offset) { put({clock_, 0, 0, offset, recording::kOperation, 2, 0}); }
  // A request that takes `locks` locks in the ORB and one ordered in the application.
  void request(int locks, uint64_t offset) {
    enter(kDispatcher);
    enter(kRequest);
    for (int i = 0; i < locks; ++i) {
      call(kLock, orb_, 0, kRequest);
      call(kUnlock, orb_, 0, kRequest);
    }
    enter(kUpcall);
    operation(offset);
    call(kLock, application_, recording::kIntercepted | recording::kOrdered, kUpcall);
    call(kUnlock, application_, recording::kIntercepted, kUpcall);
    leave(kUpcall);
    leave(kRequest);
    leave(kDispatcher);
  }
  LockReport report(uint32_t warm_up = 0) { return make_lock_report(trace_, "scene", warm_up); }

  Trace trace_;
  uint32_t orb_ = path({{"orb::lock()", "liborb.so"}, {"orb::run()", "liborb.so"}});
  uint32_t application_ = path({{"Account::deposit()", "server"}, {"orb::run()", "liborb.so"}});

 private:
  void put(const Event& event) {
    trace_.threads.back().events.push_back(event);
    ++clock_;
  }
  uint64_t clock_ = 1;
  uint64_t address_ = 0;
};

TEST(LockReport, CountsWhatEachSystemWouldDoInARequest) {
  Scene scene;
  scene.thread();
  for (int i = 0; i < 10; ++i) scene.request(4, 0);
  const LockReport report = scene.report();
  EXPECT_EQ(report.requests, 10u);
  EXPECT_EQ(report.per_request.calls.median, 10);
  EXPECT_EQ(report.per_request.acquisitions.median, 5);
  EXPECT_EQ(report.per_request.intercepted.median, 2);
  EXPECT_EQ(report.per_request.ordered.median, 1);
  EXPECT_EQ(report.in_requests.calls, 100u);
  EXPECT_EQ(report.outside.calls, 0u);
}

TEST(LockReport, KeepsOperationsApartWithTheirOwnMedians) {
  Scene scene;
  scene.thread();
  for (int i = 0; i < 7; ++i) scene.request(4, 0);
  for (int i = 0; i < 3; ++i) scene.request(1, 8);
  const LockReport report = scene.report();
  ASSERT_EQ(report.by_operation.size(), 2u);
  EXPECT_EQ(report.by_operation[0].name, "deposit");
  EXPECT_EQ(report.by_operation[0].requests, 7u);
  EXPECT_EQ(report.by_operation[0].per_request.calls.median, 10);
  EXPECT_EQ(report.by_operation[1].name, "ping");
  EXPECT_EQ(report.by_operation[1].per_request.calls.median, 4);
}

TEST(LockReport, KeepsWarmUpAndWhatIsOutsideOfRequestsApart) {
  Scene scene;
  for (int thread = 0; thread < 2; ++thread) {
    scene.thread();
    scene.call(kLock, scene.orb_);
    for (int i = 0; i < 5; ++i) scene.request(thread == 0 && i < 2 ? 20 : 4, 0);
    scene.call(kUnlock, scene.orb_);
  }
  const LockReport report = scene.report(2);
  EXPECT_EQ(report.requests, 6u);
  EXPECT_EQ(report.warm_up_requests, 4u);
  EXPECT_EQ(report.per_request.calls.most, 10);
  EXPECT_EQ(report.warm_up.calls, 2 * 42u + 2 * 10u);
  EXPECT_EQ(report.outside.calls, 4u);
  EXPECT_EQ(report.outside.acquisitions, 2u);
}

TEST(LockReport, TellsByLibraryJoinPointCallAndPath) {
  Scene scene;
  scene.thread();
  for (int i = 0; i < 3; ++i) scene.request(2, 0);
  const LockReport report = scene.report();
  ASSERT_EQ(report.by_library.size(), 2u);
  EXPECT_EQ(report.by_library[0].name, "liborb.so");
  EXPECT_EQ(report.by_library[0].in_requests.ordered, 0u);
  EXPECT_EQ(report.by_library[1].in_requests.ordered, 3u);
  ASSERT_EQ(report.by_join_point.size(), 2u);
  EXPECT_EQ(report.by_join_point[1].name, "upcall");
  EXPECT_EQ(report.by_join_point[1].of, "server");
  ASSERT_EQ(report.by_call.size(), 2u);
  EXPECT_EQ(report.by_call[0].in_requests.calls, 9u);
  EXPECT_EQ(report.by_path.size(), 4u);  // two paths, two calls each
  ASSERT_EQ(report.tree.children.size(), 1u);
  EXPECT_EQ(report.tree.children[0].function, "orb::run()");
  EXPECT_EQ(report.tree.children[0].sum.calls, 18u);
  EXPECT_EQ(report.tree.children[0].children.size(), 2u);
}

TEST(LockReport, ShowsOneOrdinaryRequestStepByStep) {
  Scene scene;
  scene.thread();
  scene.request(9, 8);
  for (int i = 0; i < 5; ++i) scene.request(2, 0);
  const Timeline timeline = scene.report().timeline;
  EXPECT_EQ(timeline.operation, "deposit");
  ASSERT_EQ(timeline.steps.size(), 3u + 4 + 2 + 3);
  EXPECT_EQ(timeline.steps[0].what, "enter dispatcher");
  EXPECT_EQ(timeline.steps[0].depth, 0);
  EXPECT_EQ(timeline.steps[2].depth, 2);  // the ORB's first lock
  EXPECT_EQ(timeline.steps[7].verdict, TimelineStep::Verdict::kOrdered);
  EXPECT_EQ(timeline.steps[7].caller, "Account::deposit()");
  EXPECT_TRUE(timeline.steps[7].synchronises);
  EXPECT_EQ(timeline.steps.back().what, "leave dispatcher");
}

// The ORB also locks under the upcall's marker; a wrapper library is asked who called it.
TEST(LockReport, KnowsOnWhoseBehalfACallOfTheTimelineIsMade) {
  Scene scene;
  const uint32_t wrapped_by_orb = scene.path({{"guard()", "libwrapper.so"}, {"o()", "liborb.so"}});
  const uint32_t wrapped_by_application = scene.path(
      {{"std::lock()", "libstdc++.so.6"}, {"guard()", "libwrapper.so"}, {"a()", "liba.so"}});
  scene.trace_.join_points.push_back({"orb-thread", "infrastructure"});
  scene.thread();
  scene.enter(3);
  scene.call(kLock, wrapped_by_orb, 0, 3);  // so the wrapper is not the application's alone
  scene.leave(3);
  scene.enter(kDispatcher);
  scene.call(kLock, scene.orb_, 0, kDispatcher);
  scene.enter(kRequest);
  scene.enter(kUpcall);
  scene.call(kRecv, scene.orb_, 0, kUpcall);
  scene.call(kLock, wrapped_by_orb, 0, kUpcall);
  scene.call(kLock, wrapped_by_application, 0, kUpcall);
  scene.call(kLock, scene.application_, recording::kOrdered, kUpcall);
  scene.leave(kUpcall);
  scene.leave(kRequest);
  scene.leave(kDispatcher);
  std::vector<std::pair<std::string, CallerLayer>> calls;
  for (const TimelineStep& step : scene.report().timeline.steps) {
    if (step.verdict != TimelineStep::Verdict::kMark) calls.emplace_back(step.what, step.layer);
    if (step.what == "recv") {
      EXPECT_FALSE(step.synchronises);
    }
    if (step.what == "enter upcall") {
      EXPECT_EQ(step.layer, CallerLayer::kApplication);
    }
    if (step.what == "enter request") {
      EXPECT_EQ(step.layer, CallerLayer::kMiddleware);
    }
  }
  const auto orb = CallerLayer::kMiddleware, application = CallerLayer::kApplication;
  EXPECT_EQ(calls, (std::vector<std::pair<std::string, CallerLayer>>{
                       {"pthread_mutex_lock", orb},
                       {"recv", orb},
                       {"pthread_mutex_lock", orb},
                       {"pthread_mutex_lock", application},
                       {"pthread_mutex_lock", application}}));
}

TEST(LockReport, SaysWhatIsMissing) {
  Scene scene;
  scene.thread();
  scene.call(kLock, scene.orb_);
  scene.trace_.lost_events = 17;
  const LockReport report = scene.report();
  EXPECT_EQ(report.requests, 0u);
  ASSERT_EQ(report.remarks.size(), 2u);
  EXPECT_NE(report.remarks[0].find("17 events"), std::string::npos);
  EXPECT_NE(report.remarks[1].find("no request"), std::string::npos);
}

// A dispatcher that an exception left without a mark, then an ordinary request.
TEST(LockReport, FindsItsWayAfterAMarkThatNeverCame) {
  Scene scene;
  scene.thread();
  scene.enter(kDispatcher);
  scene.enter(kRequest);
  scene.call(kLock, scene.orb_, 0, kRequest);
  scene.request(2, 0);
  const LockReport report = scene.report();
  EXPECT_EQ(report.requests, 1u);
  EXPECT_EQ(report.per_request.calls.median, 6);
}

TEST(SynchronisationCalls, AreAllThoseOfTheTable) {
  using os::Family;
  for (uint16_t row = 0; row < os::kCallRowCount; ++row) {
    const os::CallRow& call = os::kCallRows[row];
    const std::string name = call.name;
    const bool lasting = name.find("_init") != std::string::npos ||
                         name.find("_destroy") != std::string::npos ||
                         name.starts_with("thrd_");
    const bool synchronises =
        !lasting && (call.family == Family::mutex || call.family == Family::condition ||
                     call.family == Family::rwlock || call.family == Family::semaphore ||
                     call.family == Family::spin || call.family == Family::barrier ||
                     call.family == Family::once || call.family == Family::c11);
    EXPECT_EQ(synchronisation_of(name) != Synchronisation::kNone, synchronises) << name;
  }
}

}  // namespace
}  // namespace auxin::analysis
