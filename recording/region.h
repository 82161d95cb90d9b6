// SPDX-License-Identifier: Apache-2.0
//
// The region: shared memory through which a recorded process hands its events to whoever records.
//
// The recorder (recorder.h), in the recorded process, fills chunks; the collector, in the command,
// empties them. Nothing in here is ever waited for: without a free chunk events are counted as
// lost. What a killed process leaves can be read to the last event that it counted.
//
//   header | names | threads | modules | path slots | frames | strings | chunks
//
// Thread safety: as each word says. The collector trusts no number in here: a recorded process may
// write anything. FORMAT.md has the layout.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "libmeta_os/unsupported_use.h"

namespace auxin::recording {

inline constexpr uint64_t kRegionMagic = 0x31474552'58554100;  // "\0AUXREG1"
inline constexpr uint32_t kRegionVersion = 2;

inline constexpr uint32_t kMaxCalls = 512;           // rows of the hook table
inline constexpr uint32_t kMaxJoinPointNames = 1024;
inline constexpr uint32_t kMaxThreads = 4096;
inline constexpr uint32_t kMaxModules = 512;
inline constexpr uint32_t kPathSlots = 1u << 16;     // of the hash table; paths fill half of it
inline constexpr uint32_t kMaxPaths = kPathSlots / 2;
inline constexpr uint32_t kMaxFramesInPath = 48;
inline constexpr uint32_t kFramePoolWords = 1u << 20;
inline constexpr uint32_t kStringPoolBytes = 1u << 20;
inline constexpr uint32_t kEventsInChunk = 1020;

enum class Detail : uint32_t {
  kCount = 0,  // per call and call site: how often. No events
  kFull = 1,   // every call with its path, times and result
};

enum class Clock : uint32_t { kTicks = 0, kNanoseconds = 1 };  // processor's counter; monotonic

// What an event is. Below kFirstMark: a call, numbered by its row of the hook table.
enum : uint16_t {
  kFirstMark = 0x0800,
  kEntered = kFirstMark,  // a join point; object: its argument
  kLeft,                  // the same join point
  kActivity,              // object: the activity that the thread works for from here on; 0: none
  kOperation,             // object: offset of the request's operation in the strings
  kSecond,                // after a wait on a condition: object: its mutex; after the creation of a
                          // thread: object: its routine
  kBytes,                 // after a transfer: the event's first `result` bytes are the data's
  kServant,               // after kOperation; object: offset of its class's name in the strings
};
inline constexpr uint16_t kKindMask = 0x0fff;
inline constexpr uint16_t kIntercepted = 0x1000;  // the call went to a meta-object
inline constexpr uint16_t kOrdered = 0x2000;      // and its order was settled
inline constexpr uint16_t kUnwound = 0x4000;      // the call was left by an exception or the
                                                  // thread's end
inline constexpr size_t kKeptBytes = 24;          // at most, of a transfer
inline constexpr uint16_t kNoJoinPoint = 0xffff;

struct Event {
  uint64_t begin;        // clock
  uint32_t duration;     // of the call, clock; 0xffffffff: that long or longer
  uint32_t path;         // call path of the calling code (PathSlot::number); 0: not known
  uint64_t object;       // the call's first argument: an address or a descriptor
  uint16_t kind;         // see above
  uint16_t join_point;   // of the innermost marker
  int32_t result;        // the call's; for sizes: cut to 2^31 - 1; -errno where it says -1
};
static_assert(sizeof(Event) == 32);

enum class ChunkState : uint32_t { kFree = 0, kFilling = 1, kFull = 2 };

struct Chunk {
  std::atomic<ChunkState> state;  // free → filling → full by the recorder; full → free by the
                                  // collector
  uint32_t thread;                // index in the thread table
  uint64_t number;                // counts this thread's chunks
  std::atomic<uint32_t> count;    // events that are whole
  uint32_t padding[27];
  Event events[kEventsInChunk];
};
static_assert(sizeof(Chunk) == 128 + 32 * kEventsInChunk);

// One thread that has ever recorded.
struct ThreadRow {
  uint32_t tid;
  uint32_t padding;
  uint64_t self;         // its pthread_t: what pthread_create gave its creator
  uint64_t first_ticks;  // clock
  char name[16];
};
static_assert(sizeof(ThreadRow) == 40);

struct ModuleRow {
  char path[256];
  uint64_t base;         // load address: an address minus base is the file's own
  uint64_t begin, end;   // of its executable segments
};
static_assert(sizeof(ModuleRow) == 280);

// A call path: return addresses, innermost first.
struct PathSlot {
  std::atomic<uint64_t> hash;     // 0: free. Written last but one
  std::atomic<uint32_t> number;   // 1…; 0: not yet. Written last
  uint32_t first_frame;           // in the frame pool
  uint32_t frame_count;
  uint32_t padding;
};
static_assert(sizeof(PathSlot) == 24);

// One counter of detail kCount.
struct SiteCount {
  std::atomic<uint64_t> site;     // call site << 16 | row; 0: free
  std::atomic<uint64_t> count;
  std::atomic<uint64_t> intercepted;
  std::atomic<uint64_t> ordered;
};
inline constexpr uint32_t kSiteCounts = 1u << 14;

struct Region {
  uint64_t magic;
  uint32_t version;
  Detail detail;
  uint64_t size_bytes;
  uint32_t chunk_count;
  uint32_t call_count;
  // By the recorder, when it begins; the magic last.
  Clock clock;
  int32_t pid;
  uint64_t begin_clock;           // the same moment on both
  uint64_t begin_monotonic_ns;
  uint64_t begin_realtime_ns;
  std::atomic<uint32_t> recording;     // 1: the recorder is in force
  std::atomic<uint32_t> asked_to_end;  // 1: by the collector
  std::atomic<uint64_t> requests;      // that reached the application while it recorded
  // What found no room.
  std::atomic<uint64_t> lost_events;
  std::atomic<uint64_t> lost_paths;
  std::atomic<uint64_t> lost_sites;

  std::atomic<uint32_t> thread_count;
  std::atomic<uint32_t> module_count;
  std::atomic<uint32_t> module_generation;  // odd while the modules are written
  std::atomic<uint32_t> path_count;
  std::atomic<uint32_t> frames_used;
  std::atomic<uint32_t> string_bytes;
  std::atomic<uint32_t> join_point_count;

  char call_names[kMaxCalls][40];
  char join_points[kMaxJoinPointNames][72];  // name, 0, role
  ThreadRow threads[kMaxThreads];
  ModuleRow modules[kMaxModules];
  PathSlot paths[kPathSlots];
  uint64_t frames[kFramePoolWords];
  char strings[kStringPoolBytes];
  SiteCount sites[kSiteCounts];
  os::UseTable uses;             // what the process does that is not supported
  alignas(4096) Chunk chunks[];
};

constexpr uint64_t region_size_bytes(uint32_t chunks) {
  return sizeof(Region) + uint64_t{chunks} * sizeof(Chunk);
}

}  // namespace auxin::recording
