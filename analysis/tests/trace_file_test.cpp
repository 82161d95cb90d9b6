// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever happens to a trace file, reading it gives what was written before the damage, or a
// sentence. Method: write one, read it back; then cut it at every byte, and flip a bit of each.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "analysis/trace/reader.h"
#include "analysis/trace/sections.h"

namespace auxin::analysis {
namespace {

class TraceFile : public ::testing::Test {
 protected:
  TraceFile() {
    char name[] = "/tmp/auxin-trace-test-XXXXXX";
    directory_ = mkdtemp(name);
    path_ = directory_ + "/a.trace";
  }
  ~TraceFile() override { std::filesystem::remove_all(directory_); }

  // Two threads, one path of two frames, one text.
  void write_sample() {
    auto writer = SectionWriter::create(path_);
    ASSERT_TRUE(writer) << writer.error();
    Content description;
    description.put_bytes(nlohmann::json{{"pid", 4711},
                                         {"command", "server --one"},
                                         {"detail", "full"},
                                         {"begin_clock", 1000},
                                         {"begin_realtime_ns", 5}}
                              .dump());
    writer->write(SectionKind::kDescription, description);
    Content calls;
    for (const char* name : {"pthread_mutex_lock", "recv"}) {
      calls.put(static_cast<uint8_t>(name[0] == 'p' ? os::Family::mutex : os::Family::socket));
      calls.put_text<uint8_t>(name);
    }
    writer->write(SectionKind::kCalls, calls);
    Content points;
    points.put(uint32_t{3});
    points.put_text<uint8_t>("upcall");
    points.put_text<uint8_t>("upcall");
    writer->write(SectionKind::kJoinPoints, points);
    Content threads;
    threads.put(uint32_t{0});
    for (const uint32_t tid : {11u, 12u}) {
      threads.put(tid);
      threads.put(uint64_t{tid} << 32);
      threads.put_text<uint8_t>("worker");
    }
    writer->write(SectionKind::kThreads, threads);
    Content paths;
    paths.put(uint32_t{1});
    paths.put(uint8_t{2});
    paths.put(uint64_t{0x401000});
    paths.put(uint64_t{0x402000});
    writer->write(SectionKind::kPaths, paths);
    Content strings;
    strings.put(uint32_t{0});
    strings.put_bytes({"deposit\0ping\0", 13});
    writer->write(SectionKind::kStrings, strings);
    for (uint32_t thread = 0; thread < 2; ++thread) write_events(*writer, thread);
    Content names;
    names.put(uint64_t{0x401000});
    names.put_text<uint16_t>("_ZN4Bank7depositEl");
    writer->write(SectionKind::kNames, names);
    Content end;
    end.put_bytes(R"({"ns_per_tick": 0.5, "duration_ns": 900, "lost_events": 3})");
    writer->write(SectionKind::kEnd, end);
    writer->flush();
    ASSERT_EQ(writer->error(), "");
  }

  static void write_events(SectionWriter& writer, uint32_t thread) {
    constexpr uint32_t kCount = 100;
    Content events;
    events.put(thread);
    events.put(kCount);
    events.put(uint64_t{2000});
    for (uint32_t i = 0; i < kCount; ++i) events.put(uint64_t{i == 0 ? 0u : 10u});
    for (uint32_t i = 0; i < kCount; ++i) events.put(i);
    for (uint32_t i = 0; i < kCount; ++i) events.put(uint32_t{1});
    for (uint32_t i = 0; i < kCount; ++i) events.put(uint64_t{0x7000} + i);
    for (uint32_t i = 0; i < kCount; ++i) events.put(static_cast<uint16_t>(i % 2));
    for (uint32_t i = 0; i < kCount; ++i) events.put(uint16_t{3});
    for (uint32_t i = 0; i < kCount; ++i) events.put(static_cast<int32_t>(i) - 50);
    writer.write(SectionKind::kEvents, events);
  }

  std::string bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void replace(const std::string& content) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << content;
  }

  std::string directory_, path_;
};

TEST_F(TraceFile, IsReadAsItWasWritten) {
  write_sample();
  auto trace = read_trace(path_);
  ASSERT_TRUE(trace) << trace.error();
  EXPECT_TRUE(trace->whole);
  EXPECT_TRUE(trace->remarks.empty());
  EXPECT_EQ(trace->pid, 4711);
  EXPECT_EQ(trace->command, "server --one");
  EXPECT_EQ(trace->ns_per_tick, 0.5);
  EXPECT_EQ(trace->lost_events, 3u);
  ASSERT_EQ(trace->threads.size(), 2u);
  EXPECT_EQ(trace->threads[1].tid, 12u);
  ASSERT_EQ(trace->threads[1].events.size(), 100u);
  const Event& last = trace->threads[1].events[99];
  EXPECT_EQ(last.begin, 2000u + 99 * 10);
  EXPECT_EQ(last.duration, 99u);
  EXPECT_EQ(last.object, 0x7063u);
  EXPECT_EQ(last.result, 49);
  EXPECT_EQ(trace->call_of(last).name, "recv");
  EXPECT_EQ(trace->join_points[last.join_point].role, "upcall");
  const auto path = trace->path(last.path);
  ASSERT_EQ(path.size(), 2u);
  EXPECT_EQ(trace->frames[path[0]].function, "Bank::deposit(long)");
  EXPECT_EQ(trace->frames[path[1]].function, "");
  EXPECT_STREQ(trace->text_at(8), "ping");
}

TEST_F(TraceFile, CutAnywhereGivesWhatIsBeforeTheCut) {
  write_sample();
  const std::string whole = bytes();
  uint64_t events_before = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    replace(whole.substr(0, size));
    auto trace = read_trace(path_);
    if (size < 16) {
      EXPECT_FALSE(trace) << size;
      continue;
    }
    ASSERT_TRUE(trace) << size << ": " << trace.error();
    EXPECT_FALSE(trace->whole) << size;
    EXPECT_EQ(trace->remarks.size(), 1u) << size;
    EXPECT_GE(trace->event_count(), events_before) << size;
    events_before = trace->event_count();
  }
  EXPECT_EQ(events_before, 200u);
}

TEST_F(TraceFile, ABitFlippedAnywhereIsNoticed) {
  write_sample();
  const std::string whole = bytes();
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    replace(damaged);
    auto trace = read_trace(path_);
    if (at < 12) {
      EXPECT_FALSE(trace) << at;
    } else if (at >= 16) {  // 12 to 15 are for later versions
      ASSERT_TRUE(trace) << at << ": " << trace.error();
      EXPECT_FALSE(trace->remarks.empty()) << at;
      EXPECT_FALSE(trace->whole) << at;
    }
  }
}

TEST_F(TraceFile, OfAnotherKindIsRefusedWithAdvice) {
  for (const std::string& content :
       {std::string(), std::string("#!/bin/sh\n"), std::string(4096, '\0')}) {
    replace(content);
    auto trace = read_trace(path_);
    ASSERT_FALSE(trace);
    EXPECT_NE(trace.error().find("not a trace"), std::string::npos) << trace.error();
  }
  EXPECT_FALSE(read_trace(directory_));
  EXPECT_FALSE(read_trace(directory_ + "/none"));
}

TEST_F(TraceFile, OfALaterVersionIsRefusedByItsNumber) {
  write_sample();
  std::string content = bytes();
  content[8] = 9;
  replace(content);
  auto trace = read_trace(path_);
  ASSERT_FALSE(trace);
  EXPECT_NE(trace.error().find("version 9"), std::string::npos) << trace.error();
}

// A section with a right checksum may still say anything: a writer with a fault, or a hostile one.
TEST_F(TraceFile, SectionsThatSayTooMuchAreLeftOut) {
  auto writer = SectionWriter::create(path_);
  ASSERT_TRUE(writer);
  const auto put = [&](SectionKind kind, auto... words) {
    Content content;
    (content.put(words), ...);
    writer->write(kind, content);
  };
  put(SectionKind::kEvents, uint32_t{0}, ~uint32_t{0}, uint64_t{0});    // so many events
  put(SectionKind::kEvents, ~uint32_t{0}, uint32_t{1}, uint64_t{0});    // of such a thread
  put(SectionKind::kPaths, uint32_t{1}, uint8_t{200}, uint64_t{1});     // longer than it is
  put(SectionKind::kThreads, ~uint32_t{0}, uint32_t{1});
  put(SectionKind::kStrings, ~uint32_t{0}, uint8_t{'x'});
  put(SectionKind::kNames, uint64_t{1}, uint16_t{999});
  put(SectionKind::kModules, uint64_t{1});
  put(SectionKind::kSites, uint64_t{1});
  put(SectionKind::kCalls, uint8_t{255}, uint8_t{9});
  put(SectionKind::kDescription, uint8_t{'{'});
  put(SectionKind::kEnd, uint8_t{'['}, uint8_t{']'});
  put(static_cast<SectionKind>(77), uint64_t{1});  // unknown: skipped without a word
  writer->flush();
  auto trace = read_trace(path_);
  ASSERT_TRUE(trace) << trace.error();
  EXPECT_EQ(trace->event_count(), 0u);
  EXPECT_EQ(trace->remarks.size(), 12u);  // eleven sections, and that it was not ended
}

}  // namespace
}  // namespace auxin::analysis
