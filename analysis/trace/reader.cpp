// SPDX-License-Identifier: Apache-2.0
#include "analysis/trace/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "analysis/trace/sections.h"
#include "analysis/trace/symbols.h"

namespace auxin::analysis {
namespace {

using Json = nlohmann::json;

class Reading {
 public:
  explicit Reading(const ReadOptions& options) : options_(options) {}

  bool take(SectionKind kind, const std::string& content) {
    Contents in(content);
    switch (kind) {
      case SectionKind::kDescription: return description(content);
      case SectionKind::kCalls: return calls(in);
      case SectionKind::kJoinPoints: return join_points(in);
      case SectionKind::kThreads: return threads(in);
      case SectionKind::kModules: return modules(in);
      case SectionKind::kPaths: return paths(in);
      case SectionKind::kStrings: return strings(in, content.size());
      case SectionKind::kEvents: return events(in);
      case SectionKind::kNames: return names(in);
      case SectionKind::kSites: return sites(in);
      case SectionKind::kUses: return uses(in);
      case SectionKind::kEnd: return end(content);
    }
    return true;  // of a later version
  }

  Trace result() {
    if (trace_.ns_per_tick <= 0) trace_.ns_per_tick = 1.0;
    if (names_.empty() && !addresses_.empty()) name_by_the_files();
    resolve_frames();
    return std::move(trace_);
  }
  Trace& trace() { return trace_; }
  bool ended() const { return ended_; }

 private:
  bool description(const std::string& content) {
    const Json json = Json::parse(content, nullptr, false);
    if (!json.is_object()) return false;
    trace_.pid = json.value("pid", 0);
    trace_.command = json.value("command", "");
    trace_.detail = json.value("detail", "full") == "count" ? recording::Detail::kCount
                                                            : recording::Detail::kFull;
    trace_.begin_clock = json.value("begin_clock", uint64_t{0});
    trace_.begin_realtime_ns = json.value("begin_realtime_ns", uint64_t{0});
    return true;
  }

  bool end(const std::string& content) {
    const Json json = Json::parse(content, nullptr, false);
    if (!json.is_object()) return false;
    trace_.ns_per_tick = json.value("ns_per_tick", 1.0);
    trace_.duration_ns = json.value("duration_ns", uint64_t{0});
    trace_.lost_events = json.value("lost_events", uint64_t{0});
    trace_.lost_paths = json.value("lost_paths", uint64_t{0});
    trace_.lost_sites = json.value("lost_sites", uint64_t{0});
    ended_ = true;
    return true;
  }

  bool calls(Contents& in) {
    trace_.calls.clear();
    while (!in.empty() && trace_.calls.size() < recording::kMaxCalls) {
      const auto family = in.take<uint8_t>();
      TraceCall call{std::string(in.take_text<uint8_t>()),
                     family <= static_cast<uint8_t>(os::Family::signal)
                         ? static_cast<os::Family>(family)
                         : os::Family::process};
      trace_.calls.push_back(std::move(call));
    }
    return in.ok();
  }

  bool join_points(Contents& in) {
    auto row = in.take<uint32_t>();
    for (; !in.empty() && row < recording::kMaxJoinPointNames; ++row) {
      if (trace_.join_points.size() <= row) trace_.join_points.resize(row + 1);
      trace_.join_points[row].name = in.take_text<uint8_t>();
      trace_.join_points[row].role = in.take_text<uint8_t>();
    }
    return in.ok();
  }

  TraceThread* thread(uint32_t index) {
    if (index >= recording::kMaxThreads) return nullptr;
    if (trace_.threads.size() <= index) trace_.threads.resize(index + 1);
    return &trace_.threads[index];
  }

  bool threads(Contents& in) {
    auto index = in.take<uint32_t>();
    for (; !in.empty(); ++index) {
      TraceThread* row = thread(index);
      if (row == nullptr) return false;
      row->tid = in.take<uint32_t>();
      row->self = in.take<uint64_t>();
      row->name = in.take_text<uint8_t>();
    }
    return in.ok();
  }

  bool modules(Contents& in) {
    trace_.modules.clear();
    while (!in.empty()) {
      TraceModule module;
      module.base = in.take<uint64_t>();
      module.begin = in.take<uint64_t>();
      module.end = in.take<uint64_t>();
      module.path = in.take_text<uint16_t>();
      trace_.modules.push_back(std::move(module));
    }
    return in.ok();
  }

  uint32_t frame_of(uint64_t address) {
    const auto [there, is_new] =
        frame_by_address_.emplace(address, static_cast<uint32_t>(addresses_.size()));
    if (is_new) addresses_.push_back(address);
    return there->second;
  }

  bool paths(Contents& in) {
    auto number = in.take<uint32_t>();
    for (; !in.empty() && number <= recording::kMaxPaths; ++number) {
      std::vector<uint32_t> path(in.take<uint8_t>());
      for (uint32_t& frame : path) frame = frame_of(in.take<uint64_t>());
      if (trace_.paths.size() <= number) trace_.paths.resize(number + 1);
      trace_.paths[number] = std::move(path);
    }
    return in.ok();
  }

  bool strings(Contents& in, size_t size) {
    const auto offset = in.take<uint32_t>();
    if (size < sizeof offset || offset > recording::kStringPoolBytes) return false;
    const std::string_view bytes = in.take_bytes(size - sizeof offset);
    trace_.strings.resize(std::max(trace_.strings.size(), offset + bytes.size()));
    std::copy(bytes.begin(), bytes.end(), trace_.strings.begin() + offset);
    return in.ok();
  }

  template <class Value>
  static bool column(Contents& in, std::span<Event> events, Value Event::* member) {
    const std::string_view bytes = in.take_bytes(events.size() * sizeof(Value));
    if (!in.ok()) return false;
    for (size_t i = 0; i < events.size(); ++i) {
      memcpy(&(events[i].*member), bytes.data() + i * sizeof(Value), sizeof(Value));
    }
    return true;
  }

  bool events(Contents& in) {
    TraceThread* const of = thread(in.take<uint32_t>());
    const auto count = in.take<uint32_t>();
    auto begin = in.take<uint64_t>();
    if (of == nullptr || count > kMaxSectionBytes / sizeof(Event)) return false;
    if (!options_.events) return true;
    const size_t before = of->events.size();
    of->events.resize(before + count);
    const std::span<Event> events(of->events.data() + before, count);
    const bool whole = column(in, events, &Event::begin) && column(in, events, &Event::duration) &&
                       column(in, events, &Event::path) && column(in, events, &Event::object) &&
                       column(in, events, &Event::kind) &&
                       column(in, events, &Event::join_point) &&
                       column(in, events, &Event::result);
    if (!whole) {
      of->events.resize(before);
      return false;
    }
    for (Event& event : events) event.begin = begin += event.begin;
    return true;
  }

  bool names(Contents& in) {
    while (!in.empty()) {
      const auto address = in.take<uint64_t>();
      names_[address] = in.take_text<uint16_t>();
    }
    return in.ok();
  }

  bool sites(Contents& in) {
    trace_.sites.clear();
    while (!in.empty()) {
      TraceSiteCount site;
      site.site = in.take<uint64_t>();
      site.frame = frame_of(site.site);
      site.call = in.take<uint16_t>();
      site.count = in.take<uint64_t>();
      site.intercepted = in.take<uint64_t>();
      site.ordered = in.take<uint64_t>();
      trace_.sites.push_back(site);
    }
    return in.ok();
  }

  bool uses(Contents& in) {
    trace_.uses.clear();
    while (!in.empty()) {
      TraceUse use;
      use.use = static_cast<os::Unsupported>(in.take<uint16_t>());
      use.module = in.take_text<uint16_t>();
      use.symbol = in.take_text<uint16_t>();
      if (*os::unsupported_name(use.use) != '\0') trace_.uses.push_back(std::move(use));
    }
    return in.ok();
  }

  // The collector did not come to it; the files may still be there.
  void name_by_the_files() {
    std::vector<CodeModule> modules;
    for (const TraceModule& each : trace_.modules) {
      modules.push_back({each.path, each.base, each.begin, each.end});
    }
    const Symbols symbols(modules);
    for (const uint64_t address : addresses_) {
      std::string symbol = symbols.symbol_at(address - 1);
      if (!symbol.empty()) names_[address] = std::move(symbol);
    }
  }

  void resolve_frames() {
    std::unordered_map<std::string, std::string> readable;
    for (const uint64_t address : addresses_) {
      TraceFrame frame;
      frame.address = address;
      frame.offset = address;
      frame.module = kNoModule;
      for (uint32_t i = 0; i < trace_.modules.size(); ++i) {
        const TraceModule& module = trace_.modules[i];
        if (address < module.begin || address > module.end) continue;
        frame.module = i;
        frame.offset = address - module.base;
        frame.object = std::filesystem::path(module.path).filename();
      }
      if (const auto known = names_.find(address); known != names_.end()) {
        frame.symbol = known->second;
        auto [text, is_new] = readable.try_emplace(frame.symbol);
        if (is_new) text->second = demangled(frame.symbol);
        frame.function = text->second;
      }
      trace_.frames.push_back(std::move(frame));
    }
  }

  const ReadOptions& options_;
  Trace trace_;
  bool ended_ = false;
  std::vector<uint64_t> addresses_;
  std::unordered_map<uint64_t, uint32_t> frame_by_address_;
  std::unordered_map<uint64_t, std::string> names_;
};

}  // namespace

Result<Trace> read_trace(const std::string& path, const ReadOptions& options) {
  auto reader = SectionReader::open(path);
  if (!reader) return Error{reader.error()};
  std::error_code ignored;
  const double size = static_cast<double>(std::filesystem::file_size(path, ignored));
  Reading reading(options);
  SectionKind kind{};
  std::string content;
  SectionReader::Next next;
  while ((next = reader->next(&kind, &content)) == SectionReader::Next::kSection) {
    if (!reading.take(kind, content)) {
      reading.trace().remarks.push_back(fmt::format(
          "{}: the section at byte {} is not as it should be; it is left out", path,
          reader->position()));
    }
    if (options.progress && size > 0) {
      options.progress(static_cast<double>(reader->position()) / size);
    }
  }
  if (next == SectionReader::Next::kDamaged) {
    reading.trace().remarks.push_back(fmt::format(
        "{}: cut off or damaged at byte {}; what is before that is used", path,
        reader->position()));
  } else if (!reading.ended()) {
    reading.trace().remarks.push_back(
        fmt::format("{}: the recording was not ended in order; what it has is used", path));
  }
  reading.trace().whole = reading.ended();
  return reading.result();
}

}  // namespace auxin::analysis
