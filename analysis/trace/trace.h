// SPDX-License-Identifier: Apache-2.0
//
// A trace: what one process called while it was recorded, in memory.
//
// Thread safety: a value; readers may share it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "libmeta_os/call_rows.h"
#include "libmeta_os/unsupported_use.h"
#include "recording/region.h"

namespace auxin::analysis {

using recording::Event;

struct TraceCall {
  std::string name;   // of the function
  os::Family family;
};

struct TraceJoinPoint {
  std::string name;
  std::string role;   // as in a join-point map; "": none
};

struct TraceThread {
  uint32_t tid = 0;
  uint64_t self = 0;         // its pthread_t
  std::string name;
  std::vector<Event> events;  // in the order in which it wrote them
};

struct TraceModule {
  std::string path;
  uint64_t base = 0, begin = 0, end = 0;
};

inline constexpr uint32_t kNoModule = ~0u;

// One place in the code: a return address, named once for all paths.
struct TraceFrame {
  uint64_t address = 0;
  uint64_t offset = 0;       // in the module's file; without a module: the address
  uint32_t module = 0;       // index; kNoModule: in none
  std::string function;      // demangled, with argument types; "": not known
  std::string symbol;        // as the linker knows it; "": not known
  std::string object;        // of the module: its file's name

  // "function", or "object+0x1234" where it has no name.
  std::string text() const;
};
struct TraceSiteCount {
  uint64_t site = 0;         // address; `frame` names it
  uint32_t frame = 0;
  uint16_t call = 0;
  uint64_t count = 0, intercepted = 0, ordered = 0;
};

// What the process was seen doing that is not supported.
struct TraceUse {
  os::Unsupported use = os::Unsupported::kNone;
  std::string module, symbol;
};

struct Trace {
  int pid = 0;
  std::string command;               // what was started, its words separated by blanks
  recording::Detail detail = recording::Detail::kFull;
  double ns_per_tick = 1.0;
  uint64_t begin_clock = 0;
  uint64_t begin_realtime_ns = 0;
  uint64_t duration_ns = 0;          // from the first to the last moment of the recording
  uint64_t lost_events = 0, lost_paths = 0, lost_sites = 0;
  bool whole = true;                 // false: the file ends before its end mark
  std::vector<std::string> remarks;  // what is wrong with it, as sentences

  std::vector<TraceCall> calls;
  std::vector<TraceJoinPoint> join_points;
  std::vector<TraceThread> threads;
  std::vector<TraceModule> modules;
  std::vector<TraceFrame> frames;
  std::vector<std::vector<uint32_t>> paths;  // by number; frames, innermost first. 0 is empty
  std::string strings;                       // texts with a NUL each, by offset
  std::vector<TraceUse> uses;
  std::vector<TraceSiteCount> sites;         // detail kCount only

  uint64_t event_count() const;
  // A call's family; for marks: Family::process, which is never recorded.
  bool is_call(const Event& event) const {
    return (event.kind & recording::kKindMask) < calls.size();
  }
  const TraceCall& call_of(const Event& event) const {
    return calls[event.kind & recording::kKindMask];
  }
  const char* text_at(uint64_t offset) const;  // "" where there is none
  std::span<const uint32_t> path(uint32_t number) const;
  double ns_since_begin(uint64_t clock) const {
    return static_cast<double>(static_cast<int64_t>(clock - begin_clock)) * ns_per_tick;
  }
};

}  // namespace auxin::analysis
