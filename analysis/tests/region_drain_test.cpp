// SPDX-License-Identifier: Apache-2.0
//
// Goal: a region can be emptied whatever its process did: ended, was killed in the middle of an
// event, or wrote nonsense into it. Method: regions made by hand.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <random>

#include "analysis/trace/reader.h"
#include "analysis/trace/region_drain.h"

namespace auxin::analysis {
namespace {

using recording::Chunk;
using recording::ChunkState;
using recording::Region;

constexpr uint32_t kChunks = 16;

class RegionDrainTest : public ::testing::Test {
 protected:
  RegionDrainTest() {
    char name[] = "/tmp/auxin-region-test-XXXXXX";
    directory_ = mkdtemp(name);
    make_region();
  }
  ~RegionDrainTest() override {
    munmap(region_, recording::region_size_bytes(kChunks));
    std::filesystem::remove_all(directory_);
  }

  void make_region() {
    const uint64_t size = recording::region_size_bytes(kChunks);
    const int fd = open(region_path().c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(ftruncate(fd, static_cast<off_t>(size)), 0);
    region_ = static_cast<Region*>(
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    close(fd);
    region_->magic = recording::kRegionMagic;
    region_->version = recording::kRegionVersion;
    region_->detail = recording::Detail::kFull;
    region_->size_bytes = size;
    region_->chunk_count = kChunks;
    region_->call_count = 2;
    snprintf(region_->call_names[0], 40, "first");
    snprintf(region_->call_names[1], 40, "second");
    region_->recording.store(1);
    region_->thread_count.store(1);
    region_->threads[0].tid = 5;
  }

  std::string region_path() const { return directory_ + "/1-1.region"; }
  std::string trace_path() const { return directory_ + "/trace"; }

  Result<RegionDrain> drain() {
    return RegionDrain::open(region_path(), trace_path(), "server");
  }

  // What a recorder does: an event into the chunk, numbered by its object.
  void write(uint32_t chunk, uint64_t object) {
    Chunk& in = region_->chunks[chunk];
    const uint32_t at = in.count.load();
    in.events[at] = Event{100 + object, 1, 0, object, 1, recording::kNoJoinPoint, 0};
    in.count.store(at + 1);
  }
  void begin(uint32_t chunk, uint64_t number) {
    region_->chunks[chunk].state.store(ChunkState::kFilling);
    region_->chunks[chunk].thread = 0;
    region_->chunks[chunk].number = number;
  }

  std::vector<uint64_t> objects() {
    auto trace = read_trace(trace_path());
    EXPECT_TRUE(trace);
    std::vector<uint64_t> result;
    if (!trace) return result;
    for (const Event& event : trace->threads.at(0).events) result.push_back(event.object);
    return result;
  }

  std::string directory_;
  Region* region_ = nullptr;
};

TEST_F(RegionDrainTest, TakesAThreadsEventsInTheirOrderOverManyChunks) {
  auto drained = drain();
  ASSERT_TRUE(drained) << drained.error();
  std::vector<uint64_t> expected;
  uint64_t object = 0;
  for (uint64_t number = 1; number <= 40; ++number) {
    // The lower chunk may be the later one.
    const uint32_t chunk = static_cast<uint32_t>(number * 7 % kChunks);
    begin(chunk, number);
    for (int i = 0; i < 30; ++i) {
      write(chunk, object);
      expected.push_back(object++);
      if (i % 13 == 0) drained->step();
    }
    region_->chunks[chunk].state.store(ChunkState::kFull);
    if (number % 5 == 0) drained->step();
  }
  drained->finish();
  EXPECT_EQ(objects(), expected);
  EXPECT_EQ(drained->events(), expected.size());
  for (const Chunk& chunk : std::span(region_->chunks, kChunks)) {
    EXPECT_EQ(chunk.state.load(), ChunkState::kFree);
    EXPECT_EQ(chunk.count.load(), 0u);
  }
}

TEST_F(RegionDrainTest, TakesWhatAKilledProcessHadCounted) {
  begin(3, 1);
  for (uint64_t object = 0; object < 5; ++object) write(3, object);
  region_->chunks[3].events[5].object = 99;  // written, but not counted
  auto drained = drain();
  ASSERT_TRUE(drained);
  drained->finish();
  EXPECT_EQ(objects(), (std::vector<uint64_t>{0, 1, 2, 3, 4}));
}

TEST_F(RegionDrainTest, CountsWhatItMayNotWriteAnyMore) {
  auto drained = drain();
  ASSERT_TRUE(drained);
  begin(0, 1);
  write(0, 1);
  drained->step();
  drained->stop_writing_events();
  for (int i = 0; i < 10; ++i) write(0, 2);
  drained->finish();
  EXPECT_EQ(objects(), std::vector<uint64_t>{1});
  EXPECT_EQ(drained->lost_events(), 10u);
  auto trace = read_trace(trace_path());
  ASSERT_TRUE(trace);
  EXPECT_EQ(trace->lost_events, 10u);
}

TEST_F(RegionDrainTest, RefusesWhatIsNoRegion) {
  region_->magic = 0;
  EXPECT_FALSE(drain());
  region_->magic = recording::kRegionMagic;
  region_->chunk_count = kChunks + 1;
  EXPECT_FALSE(drain());
  region_->chunk_count = kChunks;
  ASSERT_EQ(truncate(region_path().c_str(), 4096), 0);
  EXPECT_FALSE(drain());
}

// A seeded storm of words over the whole region, while it is drained.
TEST_F(RegionDrainTest, SurvivesARegionFullOfNonsense) {
  const char* given = getenv("AUXIN_SEED");
  const uint64_t seed = given != nullptr ? strtoull(given, nullptr, 10) : std::random_device()();
  printf("AUXIN_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  auto drained = drain();
  ASSERT_TRUE(drained);
  auto* const words = reinterpret_cast<uint64_t*>(region_);
  const uint64_t count = recording::region_size_bytes(kChunks) / 8;
  const uint64_t head = offsetof(Region, call_names) / 8 + 1;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 20000; ++i) {
      const bool in_head = i % 50 == 0;
      const uint64_t at = in_head ? 1 + random() % (head - 1) : random() % count;
      const uint64_t value = random() >> (random() % 64);
      __atomic_store_n(words + at, value, __ATOMIC_RELAXED);
    }
    for (uint32_t chunk = 0; chunk < kChunks; ++chunk) {
      region_->chunks[chunk].state.store(static_cast<ChunkState>(random() % 4));
    }
    drained->step();
  }
  drained->finish();
  EXPECT_EQ(drained->error(), "");
  auto trace = read_trace(trace_path());
  ASSERT_TRUE(trace) << trace.error();
  EXPECT_TRUE(trace->whole);
}

}  // namespace
}  // namespace auxin::analysis
