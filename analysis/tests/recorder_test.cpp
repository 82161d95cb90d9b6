// SPDX-License-Identifier: Apache-2.0
//
// Goal: a recording is what the program called. Method: a program whose calls are known runs under
// the preload and is recorded; its trace is compared with what it must have done.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "analysis/trace/collector.h"
#include "analysis/trace/reader.h"

namespace auxin::analysis {
namespace {

class RecorderTest : public ::testing::Test {
 protected:
  RecorderTest() {
    char name[] = "/dev/shm/auxin-recorder-test-XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~RecorderTest() override { std::filesystem::remove_all(directory_); }

  // Runs the program, collecting meanwhile if asked to, and reads its trace.
  Trace record(const std::string& arguments, const std::string& environment = "",
               bool meanwhile = true, uint64_t most_bytes = 1 << 28) {
    const std::string command = "env AUXIN_RECORD=" + directory_ + " " + environment +
                                " LD_PRELOAD=" PRELOAD_LIBRARY " timeout 60 " RECORDED_PROGRAM " " +
                                arguments + " > " + directory_ + "/out 2>&1";
    Collector collector(directory_, "program", most_bytes);
    std::atomic<bool> ended{false};
    std::thread program([&] {
      status_ = system(command.c_str());
      ended.store(true);
    });
    while (!ended.load()) {
      if (meanwhile) collector.step();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    program.join();
    auto finished = collector.finish(directory_ + "/trace");
    EXPECT_TRUE(finished) << finished.error();
    auto trace = read_trace(directory_ + "/trace");
    EXPECT_TRUE(trace) << trace.error();
    return trace ? std::move(*trace) : Trace{};
  }

  // How often the call was made from a path with these functions, innermost first.
  static size_t count(const Trace& trace, const std::string& call,
                      const std::vector<std::string>& functions) {
    size_t found = 0;
    for (const TraceThread& thread : trace.threads) {
      for (const Event& event : thread.events) {
        if (!trace.is_call(event) || trace.call_of(event).name != call) continue;
        const auto path = trace.path(event.path);
        bool same = path.size() >= functions.size();
        for (size_t i = 0; same && i < functions.size(); ++i) {
          same = trace.frames[path[i]].function == functions[i];
        }
        found += same;
      }
    }
    return found;
  }

  std::string directory_;
  int status_ = -1;
};

TEST_F(RecorderTest, HasEachCallWithItsPath) {
  const Trace trace = record("all 1000");
  EXPECT_EQ(status_, 0);
  EXPECT_TRUE(trace.whole);
  EXPECT_EQ(trace.lost_events, 0u);
  EXPECT_EQ(count(trace, "pthread_mutex_lock", {"take_once", "through_one", "main"}), 1000u);
  EXPECT_EQ(count(trace, "pthread_mutex_unlock", {"take_once", "through_one", "main"}), 1000u);
  EXPECT_EQ(count(trace, "pthread_mutex_lock", {"take_once", "through_two", "main"}), 2000u);
  EXPECT_EQ(count(trace, "pthread_mutex_lock", {"take_once", "other_thread"}), 5u);
  EXPECT_EQ(count(trace, "pthread_mutex_lock", {"main"}), 1u);
}

TEST_F(RecorderTest, LinksThreadsConditionsAndBytes) {
  const Trace trace = record("all 1");
  uint64_t created = 0, waited_with = 0, condition = 0, signalled = 0, routine = 0;
  std::string sent;
  int32_t would_block = 0;
  for (const TraceThread& thread : trace.threads) {
    const std::vector<Event>& events = thread.events;
    for (size_t i = 0; i < events.size(); ++i) {
      if (!trace.is_call(events[i])) continue;
      const std::string& call = trace.call_of(events[i]).name;
      if (call == "pthread_create") {
        created = events[i].object;
        routine = events.at(i + 1).object;
      }
      if (call == "pthread_cond_wait") {
        condition = events[i].object;
        waited_with = events.at(i + 1).object;
        EXPECT_EQ(events.at(i + 1).kind, recording::kSecond);
        EXPECT_GT(events[i].duration, 0u);
      }
      if (call == "pthread_cond_signal") signalled = events[i].object;
      if (call == "recv" && events[i].result == 15) {
        ASSERT_EQ(events.at(i + 1).kind, recording::kBytes);
        sent.assign(reinterpret_cast<const char*>(&events[i + 1]), 15);
      }
      if (call == "recv" && events[i].result < 0) would_block = events[i].result;
    }
  }
  EXPECT_EQ(sent, "hello, recorder");
  EXPECT_EQ(would_block, -EAGAIN);
  EXPECT_EQ(condition, signalled);
  EXPECT_NE(condition, waited_with);
  EXPECT_NE(routine, 0u);
  EXPECT_TRUE(std::any_of(trace.threads.begin(), trace.threads.end(),
                          [&](const TraceThread& thread) { return thread.self == created; }));
}

TEST_F(RecorderTest, OfAKilledProgramHasAllItHadDone) {
  const Trace trace = record("kill 500");
  EXPECT_NE(status_, 0);
  EXPECT_TRUE(trace.whole);  // the collector lives
  EXPECT_EQ(count(trace, "pthread_mutex_lock", {"take_once", "through_one", "main"}), 500u);
  EXPECT_EQ(count(trace, "pthread_mutex_unlock", {"take_once", "through_two", "main"}), 1000u);
}

TEST_F(RecorderTest, CountsWhatFoundNoRoom) {
  // 16 chunks of 1020 events, nobody empties them: 60,000 calls do not fit.
  const Trace trace = record("run 10000", "AUXIN_RECORD_CHUNKS=16", false);
  EXPECT_EQ(status_, 0);
  EXPECT_GE(trace.event_count(), 16u * 1020 - 1);
  EXPECT_EQ(trace.event_count() + trace.lost_events, 60000u);
}

TEST_F(RecorderTest, NeverLosesAnEventWhileItIsDrained) {
  const Trace trace = record("run 200000", "AUXIN_RECORD_CHUNKS=4096");
  EXPECT_EQ(trace.lost_events, 0u);
  EXPECT_EQ(trace.event_count(), 1200000u);
}

TEST_F(RecorderTest, CountsOnlyWhereOnlyCountsAreWanted) {
  const Trace trace = record("run 1000", "AUXIN_RECORD_DETAIL=count");
  EXPECT_EQ(trace.event_count(), 0u);
  uint64_t locks = 0;
  for (const TraceSiteCount& site : trace.sites) {
    if (trace.calls[site.call].name != "pthread_mutex_lock") continue;
    EXPECT_EQ(trace.frames[site.frame].function, "take_once");
    locks += site.count;
  }
  EXPECT_EQ(locks, 3000u);
}

TEST_F(RecorderTest, OfAParentHasNothingOfItsChild) {
  const Trace trace = record("fork 50");
  EXPECT_EQ(count(trace, "pthread_mutex_lock", {"take_once"}), 150u);
}

TEST_F(RecorderTest, ADirectoryThatIsNotThereIsToldAndTheProgramRuns) {
  const std::string command = "env AUXIN_RECORD=" + directory_ +
                              "/none LD_PRELOAD=" PRELOAD_LIBRARY " " RECORDED_PROGRAM
                              " run 1 > " + directory_ + "/out 2>&1";
  EXPECT_EQ(system(command.c_str()), 0);
  EXPECT_EQ(system(("grep -q 'can.t be written there: No such file' " + directory_ + "/out && "
                    "grep -q done " + directory_ + "/out").c_str()),
            0);
}

}  // namespace
}  // namespace auxin::analysis
