// SPDX-License-Identifier: Apache-2.0
#include "analysis/trace/region_drain.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "analysis/trace/symbols.h"
#include "libmeta_os/call_rows.h"

namespace auxin::analysis {

using recording::Chunk;
using recording::ChunkState;
using recording::Event;
using recording::ModuleRow;
using recording::Region;

namespace {

// A section is closed when it has this much.
constexpr size_t kEnough = 4u << 20;

uint64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

template <size_t kSize>
std::string_view text_in(const char (&bytes)[kSize], size_t from = 0) {
  return {bytes + from, strnlen(bytes + from, kSize - from)};
}

template <class Value>
void put_column(Content& content, const Event* events, uint32_t count, Value Event::* member) {
  for (uint32_t i = 0; i < count; ++i) content.put(events[i].*member);
}

}  // namespace

void RegionDrain::Unmap::operator()(Region* region) const { munmap(region, size_bytes); }

Result<RegionDrain> RegionDrain::open(const std::string& region_path,
                                      const std::string& trace_path, const std::string& command) {
  const auto refused = [&](const char* why) {
    return Error{fmt::format("{}: {}", region_path, why)};
  };
  const int fd = ::open(region_path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return refused(strerrordesc_np(errno));
  struct stat status = {};
  void* memory = MAP_FAILED;
  const bool looked = fstat(fd, &status) == 0;
  const auto size = static_cast<uint64_t>(status.st_size);
  if (looked && size >= sizeof(Region)) {
    memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  close(fd);
  if (memory == MAP_FAILED) return refused("not a region");
  Mapped region(static_cast<Region*>(memory), Unmap{size});
  const uint32_t chunk_count = region->chunk_count;
  if (__atomic_load_n(&region->magic, __ATOMIC_ACQUIRE) != recording::kRegionMagic ||
      region->version != recording::kRegionVersion || region->size_bytes != size ||
      chunk_count == 0 || recording::region_size_bytes(chunk_count) != size) {
    return refused("not a region of this version of Auxin, or not ready yet");
  }
  auto writer = SectionWriter::create(trace_path);
  if (!writer) return Error{writer.error()};
  RegionDrain drain(std::move(region), std::move(*writer));
  drain.trace_path_ = trace_path;
  drain.pid_ = drain.region_->pid;
  drain.chunk_count_ = chunk_count;
  drain.drained_.resize(chunk_count);
  drain.chunk_numbers_.resize(chunk_count);
  drain.join_points_written_.resize(recording::kMaxJoinPointNames);
  drain.paths_written_.resize(recording::kPathSlots);
  drain.describe(command);
  drain.write_calls();
  return drain;
}

void RegionDrain::describe(const std::string& command) {
  const nlohmann::json description = {
      {"pid", pid_},
      {"command", command},
      {"detail", region_->detail == recording::Detail::kCount ? "count" : "full"},
      {"begin_clock", region_->begin_clock},
      {"begin_realtime_ns", region_->begin_realtime_ns}};
  Content content;
  content.put_bytes(description.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
  writer_.write(SectionKind::kDescription, content);
}

// The recorder is of this version, so its rows are ours.
void RegionDrain::write_calls() {
  Content content;
  const uint32_t count = std::min<uint32_t>(region_->call_count, recording::kMaxCalls);
  for (uint32_t row = 0; row < count; ++row) {
    const bool known = row < os::kCallRowCount;
    content.put(static_cast<uint8_t>(known ? os::kCallRows[row].family : os::Family::process));
    content.put_text<uint8_t>(text_in(region_->call_names[row]));
  }
  writer_.write(SectionKind::kCalls, content);
}

void RegionDrain::write_join_points() {
  for (uint32_t row = 0; row < recording::kMaxJoinPointNames; ++row) {
    if (join_points_written_[row]) continue;
    char text[sizeof region_->join_points[row]];
    if (__atomic_load_n(&region_->join_points[row][0], __ATOMIC_ACQUIRE) == '\0') continue;
    memcpy(text, region_->join_points[row], sizeof text);
    text[sizeof text - 1] = '\0';
    const std::string_view name = text_in(text);
    Content content;
    content.put(row);
    content.put_text<uint8_t>(name);
    content.put_text<uint8_t>(name.size() + 1 < sizeof text ? text_in(text, name.size() + 1)
                                                            : std::string_view());
    writer_.write(SectionKind::kJoinPoints, content);
    join_points_written_[row] = true;
  }
}

void RegionDrain::write_threads() {
  const uint32_t count = std::min(region_->thread_count.load(std::memory_order_acquire),
                                  recording::kMaxThreads);
  if (count <= threads_written_) return;
  Content content;
  content.put(threads_written_);
  for (uint32_t i = threads_written_; i < count; ++i) {
    const recording::ThreadRow row = region_->threads[i];
    if (row.tid == 0) {  // it is just being written
      threads_written_ = i;
      if (content.size() > sizeof(uint32_t)) writer_.write(SectionKind::kThreads, content);
      return;
    }
    content.put(row.tid);
    content.put(row.self);
    content.put_text<uint8_t>(text_in(row.name));
  }
  threads_written_ = count;
  writer_.write(SectionKind::kThreads, content);
}

void RegionDrain::write_modules() {
  const uint32_t generation = region_->module_generation.load(std::memory_order_acquire);
  if (generation == module_generation_ || generation % 2 != 0) return;
  const uint32_t count = std::min(region_->module_count.load(std::memory_order_acquire),
                                  recording::kMaxModules);
  std::vector<ModuleRow> rows(region_->modules, region_->modules + count);
  if (region_->module_generation.load(std::memory_order_acquire) != generation) return;
  Content content;
  for (ModuleRow& row : rows) {
    row.path[sizeof row.path - 1] = '\0';
    content.put(row.base);
    content.put(row.begin);
    content.put(row.end);
    content.put_text<uint16_t>(text_in(row.path));
  }
  writer_.write(SectionKind::kModules, content);
  modules_ = std::move(rows);
  module_generation_ = generation;
}

void RegionDrain::write_paths() {
  for (uint32_t i = 0; i < recording::kPathSlots; ++i) {
    if (paths_written_[i]) continue;
    const recording::PathSlot& slot = region_->paths[i];
    const uint32_t number = slot.number.load(std::memory_order_acquire);
    if (number == 0) continue;
    paths_written_[i] = true;
    const uint32_t first = slot.first_frame, count = slot.frame_count;
    if (number > recording::kMaxPaths || count > recording::kMaxFramesInPath ||
        first > recording::kFramePoolWords - count) {
      continue;
    }
    Content content;
    content.put(number);
    content.put(static_cast<uint8_t>(count));
    for (uint32_t frame = 0; frame < count; ++frame) {
      const uint64_t address = region_->frames[first + frame];
      content.put(address);
      addresses_.push_back(address);
    }
    writer_.write(SectionKind::kPaths, content);
  }
}

void RegionDrain::write_strings() {
  const uint32_t end = std::min(region_->string_bytes.load(std::memory_order_acquire),
                                recording::kStringPoolBytes);
  if (end <= strings_written_) return;
  Content content;
  content.put(strings_written_);
  content.put_bytes({region_->strings + strings_written_, end - strings_written_});
  writer_.write(SectionKind::kStrings, content);
  strings_written_ = end;
}

void RegionDrain::write_sites() {
  if (region_->detail != recording::Detail::kCount) return;
  Content content;
  for (const recording::SiteCount& each : region_->sites) {
    const uint64_t site = each.site.load(std::memory_order_acquire);
    if (site == 0) continue;
    content.put(site >> 16);
    content.put(static_cast<uint16_t>(site));
    content.put(each.count.load(std::memory_order_relaxed));
    content.put(each.intercepted.load(std::memory_order_relaxed));
    content.put(each.ordered.load(std::memory_order_relaxed));
    addresses_.push_back(site >> 16);
  }
  writer_.write(SectionKind::kSites, content);
}

void RegionDrain::write_uses() {
  Content content;
  for (const os::UseRow& row : region_->uses.rows) {
    if (row.state.load(std::memory_order_acquire) != 2) continue;
    content.put(static_cast<uint16_t>(row.use));
    content.put_text<uint16_t>(text_in(row.module));
    content.put_text<uint16_t>(text_in(row.symbol));
  }
  writer_.write(SectionKind::kUses, content);
}

void RegionDrain::write_chunk(uint32_t thread, const Event* events, uint32_t count) {
  Content content;
  content.put(thread);
  content.put(count);
  uint64_t before = events[0].begin;
  content.put(before);
  for (uint32_t i = 0; i < count; ++i) {
    content.put(events[i].begin - before);
    before = events[i].begin;
  }
  put_column(content, events, count, &Event::duration);
  put_column(content, events, count, &Event::path);
  put_column(content, events, count, &Event::object);
  put_column(content, events, count, &Event::kind);
  put_column(content, events, count, &Event::join_point);
  put_column(content, events, count, &Event::result);
  writer_.write(SectionKind::kEvents, content);
}

// A thread's chunks are written in the order of their numbers, so its events are in order in the
// file. A chunk that a thread is still filling is taken as far as it goes.
uint64_t RegionDrain::write_events() {
  struct Ready {
    uint64_t number;
    uint32_t index, thread, count;
    bool full;
  };
  std::vector<Ready> ready;
  for (uint32_t i = 0; i < chunk_count_; ++i) {
    Chunk& chunk = region_->chunks[i];
    // The state first: what is full has its last count.
    const ChunkState state = chunk.state.load(std::memory_order_acquire);
    if (state == ChunkState::kFree) continue;
    const uint32_t count =
        std::min(chunk.count.load(std::memory_order_acquire), recording::kEventsInChunk);
    if (chunk.number != chunk_numbers_[i]) {
      chunk_numbers_[i] = chunk.number;
      drained_[i] = 0;
    }
    ready.push_back({chunk.number, i, chunk.thread, count, state == ChunkState::kFull});
  }
  std::sort(ready.begin(), ready.end(), [](const Ready& left, const Ready& right) {
    return left.thread != right.thread ? left.thread < right.thread : left.number < right.number;
  });
  uint64_t written = 0;
  std::vector<Event> copy;
  for (const Ready& each : ready) {
    Chunk& chunk = region_->chunks[each.index];
    uint32_t& drained = drained_[each.index];
    if (each.count > drained) {
      const uint32_t count = each.count - drained;
      if (events_wanted_) {
        copy.assign(chunk.events + drained, chunk.events + each.count);
        write_chunk(each.thread, copy.data(), count);
        written += count;
      } else {
        left_behind_ += count;
      }
      drained = each.count;
    }
    if (each.full) {
      drained = 0;
      chunk_numbers_[each.index] = 0;
      chunk.count.store(0, std::memory_order_release);  // before its next thread has it
      chunk.state.store(ChunkState::kFree, std::memory_order_release);
    }
  }
  return written;
}

uint64_t RegionDrain::step() {
  const uint64_t written = write_events();
  // What the events refer to was there before them.
  write_join_points();
  write_threads();
  write_modules();
  write_paths();
  write_strings();
  writer_.flush();
  events_ += written;
  return written;
}

void RegionDrain::ask_to_end() { region_->asked_to_end.store(1, std::memory_order_release); }

bool RegionDrain::recorder_is_done() const {
  return region_->recording.load(std::memory_order_acquire) == 0;
}

uint64_t RegionDrain::calls() const {
  uint64_t sum = events_;
  if (region_->detail == recording::Detail::kFull) return sum;
  for (const recording::SiteCount& each : region_->sites) sum += each.count.load();
  return sum;
}

uint64_t RegionDrain::requests() const { return region_->requests.load(); }
uint64_t RegionDrain::lost_events() const {
  return region_->lost_events.load(std::memory_order_relaxed) + left_behind_;
}

void RegionDrain::write_names() {
  std::sort(addresses_.begin(), addresses_.end());
  addresses_.erase(std::unique(addresses_.begin(), addresses_.end()), addresses_.end());
  std::vector<CodeModule> modules;
  for (const ModuleRow& row : modules_) {
    modules.push_back({std::string(text_in(row.path)), row.base, row.begin, row.end});
  }
  const Symbols symbols(modules);
  Content content;
  for (const uint64_t address : addresses_) {
    const std::string symbol = symbols.symbol_at(address - 1);
    if (symbol.empty()) continue;
    content.put(address);
    content.put_text<uint16_t>(symbol);
    if (content.size() < kEnough) continue;
    writer_.write(SectionKind::kNames, content);
    content = Content();
  }
  writer_.write(SectionKind::kNames, content);
}

void RegionDrain::write_end() {
  const uint64_t now_ns = monotonic_ns();
  const uint64_t begin_ns = region_->begin_monotonic_ns;
  const uint64_t duration_ns = now_ns > begin_ns ? now_ns - begin_ns : 0;
  double ns_per_tick = 1.0;
  if (region_->clock == recording::Clock::kTicks) {
    const uint64_t ticks = __rdtsc() - region_->begin_clock;
    if (ticks > 0) ns_per_tick = static_cast<double>(duration_ns) / static_cast<double>(ticks);
  }
  const nlohmann::json end = {
      {"ns_per_tick", ns_per_tick},
      {"duration_ns", duration_ns},
      {"lost_events", lost_events()},
      {"lost_paths", region_->lost_paths.load(std::memory_order_relaxed)},
      {"lost_sites", region_->lost_sites.load(std::memory_order_relaxed)}};
  Content content;
  content.put_bytes(end.dump());
  writer_.write(SectionKind::kEnd, content);
}

void RegionDrain::finish() {
  step();
  write_sites();
  write_uses();
  write_names();
  write_end();
  writer_.flush();
}

}  // namespace auxin::analysis
