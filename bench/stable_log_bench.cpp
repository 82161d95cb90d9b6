// SPDX-License-Identifier: Apache-2.0
//
// What a decision costs in the stable log: appending with and without payload, by one thread and
// several, and reading. The rings are small enough to stay in the caches' reach and are passed many
// times, as in a server that has run for a while.
#include <benchmark/benchmark.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "stmemu/log/stable_log.h"
#include "stmemu/log/stable_memory.h"

namespace {

using auxin::stm::LogEntry;
using auxin::stm::StableLog;
using auxin::stm::StableMemory;

constexpr uint64_t kEntries = uint64_t{1} << 16;
constexpr uint64_t kPayloadBytes = uint64_t{1} << 24;

// A memory on tmpfs whose name is gone as soon as it is made.
struct Fixture {
  explicit Fixture(bool touch = true, bool reserve = true) {
    const std::string path = "/dev/shm/auxin-stable-log-bench." + std::to_string(getpid());
    auto made = StableMemory::create(path, {4096, kEntries, kPayloadBytes}, 1);
    if (!made) {
      fprintf(stderr, "%s\n", made.error().c_str());
      exit(1);
    }
    unlink(path.c_str());
    memory = std::move(*made);
    if (reserve) memory.reserve_log(kEntries, kPayloadBytes);
    if (touch) {
      memset(memory.entries(), 0, kEntries * 64);
      memset(memory.payload(), 0, kPayloadBytes);
    }
    log = std::make_unique<StableLog>(memory);
  }
  StableMemory memory;
  std::unique_ptr<StableLog> log;
};

// One for all threads of all benchmarks; each appends on from where the one before left off.
StableLog& shared_log() {
  static Fixture fixture;
  return *fixture.log;
}

LogEntry decision() {
  LogEntry entry{};
  entry.activity = 42;
  entry.kind = 3;
  entry.object = 0x5555;
  return entry;
}

// Nobody reads: releasing once in a while keeps the books in order and costs nothing measurable.
void release_sometimes(StableLog& log, uint64_t position) {
  if (position % 4096 == 0) log.release(position, log.payload_begin());
}

void append_decision(benchmark::State& state) {
  StableLog& log = shared_log();
  LogEntry entry = decision();
  for (auto _ : state) {
    entry.number++;
    const uint64_t position = log.append(entry);
    release_sometimes(log, position);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(append_decision)->ThreadRange(1, 2)->UseRealTime();

void append_with_room_and_outcome(benchmark::State& state) {
  StableLog& log = shared_log();
  log.release(log.end(), log.payload_end());
  LogEntry entry = decision();
  for (auto _ : state) {
    if (!log.has_room(8, 0)) log.release(log.end(), log.payload_end());
    entry.number++;
    log.set_outcome(log.append(entry), 1);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(append_with_room_and_outcome);

void append_request_bytes(benchmark::State& state) {
  StableLog& log = shared_log();
  const auto size_bytes = static_cast<uint32_t>(state.range(0));
  const std::string bytes(size_bytes, 'r');
  LogEntry entry = decision();
  for (auto _ : state) {
    entry.payload_offset = log.allocate_payload(size_bytes);
    entry.payload_size_bytes = size_bytes;
    memcpy(log.payload_at(entry.payload_offset), bytes.data(), size_bytes);
    const uint64_t position = log.append(entry);
    release_sometimes(log, position);
  }
  state.SetBytesProcessed(state.iterations() * size_bytes);
}
BENCHMARK(append_request_bytes)->Arg(64)->Arg(256)->Arg(1024)->Arg(8192);

void read_entry(benchmark::State& state) {
  Fixture fixture;
  StableLog& log = *fixture.log;
  const auto size_bytes = static_cast<uint32_t>(state.range(0));
  for (uint64_t n = 0; n < 4096; ++n) {
    LogEntry entry = decision();
    entry.payload_offset = log.allocate_payload(size_bytes);
    entry.payload_size_bytes = size_bytes;
    log.append(entry);
  }
  LogEntry entry;
  uint64_t position = 0;
  for (auto _ : state) {
    if (log.read(position++ % 4096, &entry) != StableLog::Read::kEntry) {
      state.SkipWithError("an entry cannot be read");
      break;
    }
    benchmark::DoNotOptimize(entry);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(read_entry)->Arg(0)->Arg(64)->Arg(1024);

void read_nothing_yet(benchmark::State& state) {
  Fixture fixture;
  LogEntry entry;
  for (auto _ : state) benchmark::DoNotOptimize(fixture.log->read(0, &entry));
}
BENCHMARK(read_nothing_yet);

// The first pass over reserved storage that this process has not touched: a page fault every 64th
// entry.
void append_first_lap(benchmark::State& state) {
  const LogEntry entry = decision();
  for (auto _ : state) {
    state.PauseTiming();
    auto fixture = std::make_unique<Fixture>(false);
    state.ResumeTiming();
    for (uint64_t n = 0; n < kEntries; ++n) fixture->log->append(entry);
    state.PauseTiming();
    fixture.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kEntries));
}
BENCHMARK(append_first_lap)->Unit(benchmark::kMillisecond);

// What the leader pays, now and then, for 16 MiB of storage ahead.
void reserve_16_mebibytes(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    auto fixture = std::make_unique<Fixture>(false, false);
    state.ResumeTiming();
    fixture->memory.reserve_log(0, 1);
    state.PauseTiming();
    fixture.reset();
    state.ResumeTiming();
  }
}
BENCHMARK(reserve_16_mebibytes)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
