// SPDX-License-Identifier: Apache-2.0
//
// One call, recorded:
//
//   before()  finds the call path and the time
//   …         the hook, below: libc, or a style
//   after()   the duration, the result, and what became of the call (the shard's sums before and
//             after: counters.h), written as one event
//
// An event is whole before the chunk's count includes it, so a process may be killed anywhere.
#include "recording/recorder.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>

#include "libmeta_os/counters.h"
#include "libmeta_os/guard.h"
#include "libmeta_os/modules.h"
#include "libmeta_os/never_destroyed.h"
#include "libmeta_os/observation.h"
#include "libmeta_os/private_memory.h"
#include "metamarkers/annotation.h"
#include "metamarkers/interception.h"
#include "metamarkers/join_point_map.h"
#include "metamarkers/marker_stack.h"
#include "metamarkers/stack_inspection.h"
#include "recording/call_paths.h"
#include "recording/snapshots.h"

namespace auxin::recording {
namespace {

constinit std::atomic<Region*> region_in_use{nullptr};
constinit Context context{};
constinit bool in_ticks = false;

struct ThreadLog {
  Region* region;       // the one it writes to
  uint32_t thread;      // row of the thread table
  uint32_t used;        // events in the chunk
  uint64_t chunks;      // so far
  Chunk* chunk;         // null: none was free
  uint32_t search_from;
  uint64_t activity;    // as recorded last
  PathCache paths;
};
thread_local constinit ThreadLog* log_of_this_thread = nullptr;
constinit uint32_t log_key_plus_one = 0;

uint64_t monotonic_ns() {
  timespec now;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

inline uint64_t clock_now() { return in_ticks ? __rdtsc() : monotonic_ns(); }

// The counter runs at one rate, in all processors, also while they sleep.
bool ticks_are_time() {
  unsigned a, b, c, d;
  return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & (1u << 8)) != 0;
}

void close_log(void* ending) {
  auto* log = static_cast<ThreadLog*>(ending);
  log_of_this_thread = nullptr;
  if (log->chunk != nullptr) log->chunk->state.store(ChunkState::kFull, std::memory_order_release);
  os::unmap_private(log, sizeof(ThreadLog));
}

void describe_thread(Region& region, uint32_t index) {
  ThreadRow& row = region.threads[index];
  row.tid = static_cast<uint32_t>(syscall(SYS_gettid));
  row.self = static_cast<uint64_t>(pthread_self());
  row.first_ticks = clock_now();
  // PR_GET_NAME; libc's pthread_getname_np opens a file for other threads, and this is a hook.
  syscall(SYS_prctl, 16, row.name, 0, 0, 0);
}

ThreadLog* make_log(Region& region) {
  auto* log = static_cast<ThreadLog*>(os::map_private(sizeof(ThreadLog)));
  if (log == nullptr) return nullptr;
  log->region = &region;
  log->thread = region.thread_count.fetch_add(1, std::memory_order_acq_rel);
  if (log->thread < kMaxThreads) describe_thread(region, log->thread);
  log->search_from = log->thread * 7;
  if (log_key_plus_one != 0) pthread_setspecific(log_key_plus_one - 1, log);
  log_of_this_thread = log;
  return log;
}

// The calling thread's log in this region; null: it can't have one.
inline ThreadLog* log_for(Region& region) {
  ThreadLog* log = log_of_this_thread;
  if (log != nullptr && log->region == &region) [[likely]] return log;
  const int saved_errno = errno;
  if (log != nullptr) close_log(log);
  log = make_log(region);
  errno = saved_errno;
  return log;
}

bool take_chunk(Region& region, ThreadLog& log) {
  if (log.chunk != nullptr) {
    log.chunk->state.store(ChunkState::kFull, std::memory_order_release);
    log.chunk = nullptr;
  }
  for (uint32_t i = 0; i < region.chunk_count; ++i) {
    const uint32_t index = (log.search_from + i) % region.chunk_count;
    Chunk& chunk = region.chunks[index];
    ChunkState free = ChunkState::kFree;
    if (chunk.state.load(std::memory_order_relaxed) != ChunkState::kFree ||
        !chunk.state.compare_exchange_strong(free, ChunkState::kFilling,
                                             std::memory_order_acq_rel)) {
      continue;
    }
    chunk.thread = log.thread;
    chunk.number = ++log.chunks;
    log.chunk = &chunk;
    log.used = 0;
    log.search_from = index + 1;
    return true;
  }
  return false;
}

inline void write_event(Region& region, ThreadLog& log, const Event& event) {
  if (log.chunk == nullptr || log.used == kEventsInChunk) [[unlikely]] {
    if (!take_chunk(region, log)) {
      region.lost_events.fetch_add(1, std::memory_order_relaxed);
      return;
    }
  }
  log.chunk->events[log.used] = event;
  log.chunk->count.store(++log.used, std::memory_order_release);
}

// A join point's row in the region's table: annotations come after the stubs.
uint16_t join_point_row(uint16_t index) {
  return index >= markers::kFirstAnnotation
             ? static_cast<uint16_t>(index - markers::kFirstAnnotation + markers::kMaxJoinPoints)
             : index;
}

uint16_t innermost_join_point() {
  const markers::Marker* top = markers::this_thread().top();
  return top == nullptr ? kNoJoinPoint : join_point_row(top->join_point);
}

// The row's text "name\0role", written at the first use. Concurrent writers write the same.
void name_join_point(Region& region, uint16_t row, const markers::JoinPoint& join_point) {
  if (row >= kMaxJoinPointNames) return;
  char (&text)[72] = region.join_points[row];
  if (__atomic_load_n(&text[0], __ATOMIC_ACQUIRE) != '\0') return;
  const char* role = markers::role_name(join_point.role);
  const size_t name_size = std::min<size_t>(join_point.name.size(), 47);
  const size_t role_size = role == nullptr ? 0 : strnlen(role, 22);
  if (role != nullptr) memcpy(text + name_size + 1, role, role_size);
  for (size_t i = name_size; i > 0; --i) {  // the first letter last: it says that the row is there
    __atomic_store_n(&text[i - 1], join_point.name[i - 1], __ATOMIC_RELEASE);
  }
}

void note_activity(Region& region, ThreadLog& log) {
  const uint64_t activity = context.activity != nullptr ? context.activity() : 0;
  if (activity == log.activity) [[likely]] return;
  log.activity = activity;
  write_event(region, log,
              Event{clock_now(), 0, 0, activity, kActivity, innermost_join_point(), 0});
}

// Where the text is in the region's strings; equal texts share a place. 0xffffffff: no room.
uint32_t string_at(Region& region, const char* text) {
  const uint32_t length = static_cast<uint32_t>(strnlen(text, 255));
  const uint32_t used =
      std::min(region.string_bytes.load(std::memory_order_acquire), kStringPoolBytes);
  for (uint32_t at = 0; at < used;) {
    const char* there = region.strings + at;
    const auto size = static_cast<uint32_t>(strnlen(there, used - at));
    if (size == length && memcmp(there, text, length) == 0) return at;
    at += size + 1;
  }
  const uint32_t at = region.string_bytes.fetch_add(length + 1, std::memory_order_acq_rel);
  if (at + length + 1 > kStringPoolBytes) return ~0u;
  memcpy(region.strings + at, text, length);
  return at;
}

// The name of an object's class as its run-time type information has it ("N4bank7AccountE"); false:
// it is no such object, or its class says nothing. Whatever is read may be anything.
bool class_name_of(uint64_t object, char (&name)[128]) {
  const auto read = [](uint64_t from, void* to, size_t size) {
    const iovec own = {to, size};
    const iovec other = {reinterpret_cast<void*>(from), size};
    return syscall(SYS_process_vm_readv, syscall(SYS_getpid), &own, 1, &other, 1, 0) > 0;
  };
  uint64_t table = 0, information = 0, text = 0;
  if (!read(object, &table, sizeof table) ||
      !read(table - sizeof information, &information, sizeof information) ||
      !read(information + sizeof text, &text, sizeof text) || !read(text, name, sizeof name)) {
    return false;
  }
  name[sizeof name - 1] = '\0';
  for (const char* at = name; *at != '\0'; ++at) {
    if (*at < ' ' || *at > '~') return false;
  }
  return name[0] != '\0';
}

// The same, as the place of the name in the region's strings; remembered by the address, which what
// comes there later may inherit.
uint32_t servant_class(Region& region, uint64_t servant) {
  struct Known {
    Region* region;
    uint64_t servant;
    uint32_t at;
  };
  static thread_local constinit Known known[8] = {};
  if (servant == 0) return ~0u;
  Known& entry = known[(servant >> 4) % 8];
  if (entry.region == &region && entry.servant == servant) return entry.at;
  char name[128];
  entry = Known{&region, servant, ~0u};
  if (class_name_of(servant, name)) entry.at = string_at(region, name);
  return entry.at;
}

// ---- the watch of the join points ---------------------------------------------------------------

void mark(const markers::JoinPoint& join_point, uint16_t index, uint64_t argument,
          uint64_t second, uint16_t kind) {
  Region* region = region_in_use.load(std::memory_order_acquire);
  if (region == nullptr || region->detail != Detail::kFull) return;
  const os::MetaLevel meta;
  ThreadLog* log = log_for(*region);
  if (log == nullptr) return;
  const uint16_t row = join_point_row(index);
  name_join_point(*region, row, join_point);
  note_activity(*region, *log);
  write_event(*region, *log, Event{clock_now(), 0, 0, argument, kind, row, 0});
  if (kind != kEntered || join_point.role != markers::Role::kUpcall) return;
  region->requests.fetch_add(1, std::memory_order_relaxed);
  const markers::Marker* dispatcher =
      markers::this_thread().innermost(markers::Role::kDispatcher);
  if (dispatcher == nullptr || context.operation == nullptr) return;
  const char* operation = context.operation(dispatcher->argument);
  const uint32_t at = *operation != '\0' ? string_at(*region, operation) : ~0u;
  if (at != ~0u) write_event(*region, *log, Event{clock_now(), 0, 0, at, kOperation, row, 0});
  const uint32_t servant = servant_class(*region, second);
  if (servant == ~0u) return;
  write_event(*region, *log, Event{clock_now(), 0, 0, servant, kServant, row, 0});
}

const markers::Watch kWatch = {
    [](const markers::JoinPoint& join_point, uint16_t index,
       const markers::Arguments& arguments) {
      mark(join_point, index, arguments.integer[0], arguments.integer[1], kEntered);
      snapshot_on_entering(join_point, index, arguments);
    },
    [](const markers::JoinPoint& join_point, uint16_t index) {
      snapshot_on_leaving(join_point, index);
      mark(join_point, index, 0, 0, kLeft);
    }};

// ---- the observer of the hooks ------------------------------------------------------------------

enum class Shape : uint8_t {
  kPlain,
  kCondition,   // (condition, mutex, …)
  kCreate,      // (thread, attributes, routine, argument): object becomes the new thread
  kReceive,     // (fd, buffer, size …), result bytes
  kSend,
  kVector,      // (fd, iovec, count)
  kMessage,     // (fd, msghdr, flags)
};

struct Named {
  const char* name;
  Shape shape;
};
constexpr Named kShapes[] = {
    {"pthread_cond_wait", Shape::kCondition},      {"pthread_cond_timedwait", Shape::kCondition},
    {"pthread_cond_clockwait", Shape::kCondition}, {"cnd_wait", Shape::kCondition},
    {"cnd_timedwait", Shape::kCondition},          {"pthread_create", Shape::kCreate},
    {"thrd_create", Shape::kCreate},               {"recv", Shape::kReceive},
    {"recvfrom", Shape::kReceive},                 {"__recv_chk", Shape::kReceive},
    {"__recvfrom_chk", Shape::kReceive},           {"read", Shape::kReceive},
    {"__read_chk", Shape::kReceive},               {"send", Shape::kSend},
    {"sendto", Shape::kSend},                      {"write", Shape::kSend},
    {"readv", Shape::kVector},                     {"writev", Shape::kVector},
    {"recvmsg", Shape::kMessage},                  {"sendmsg", Shape::kMessage},
};
Shape shapes_of_rows[kMaxCalls] = {};  // written before the first observation

void find_shapes() {
  for (uint16_t row = 0; row < os::kCallRowCount && row < kMaxCalls; ++row) {
    for (const Named& each : kShapes) {
      if (strcmp(each.name, os::kCallRows[row].name) == 0) shapes_of_rows[row] = each.shape;
    }
  }
}

int32_t cut(int64_t value) {
  return static_cast<int32_t>(std::clamp<int64_t>(value, INT32_MIN, INT32_MAX));
}

// The bytes that a transfer moved, as far as they lie in one piece; null: none.
const void* moved_bytes(Shape shape, const os::ObservedCall& call, size_t* size) {
  const iovec* part = nullptr;
  switch (shape) {
    case Shape::kReceive:
    case Shape::kSend:
      return reinterpret_cast<const void*>(call.arguments[1]);
    case Shape::kVector:
      if (call.arguments[2] > 0) part = reinterpret_cast<const iovec*>(call.arguments[1]);
      break;
    case Shape::kMessage: {
      const auto* message = reinterpret_cast<const msghdr*>(call.arguments[1]);
      if (message->msg_iovlen > 0) part = message->msg_iov;
      break;
    }
    default:
      return nullptr;
  }
  if (part == nullptr) return nullptr;
  *size = std::min(*size, part->iov_len);
  return part->iov_base;
}

// The shard's sums of intercepted and ordered calls; a call changes them by one at most.
uint64_t sums() {
  const os::CounterShard& shard = os::shard();
  return shard.intercepted << 32 | (shard.ordered & 0xffffffff);
}

uint16_t what_became(uint64_t before) {
  const uint64_t now = sums();
  uint16_t flags = 0;
  if (now >> 32 != before >> 32) flags |= kIntercepted;
  if (static_cast<uint32_t>(now) != static_cast<uint32_t>(before)) flags |= kOrdered;
  return flags;
}

void count_site(Region& region, const os::ObservedCall& call, uint16_t flags) {
  const uint64_t key = reinterpret_cast<uint64_t>(call.site.address) << 16 | call.row;
  const uint64_t hash = key * 0x9e3779b97f4a7c15;
  for (uint32_t probe = 0; probe < 64; ++probe) {
    SiteCount& place = region.sites[(hash + probe) % kSiteCounts];
    uint64_t there = place.site.load(std::memory_order_relaxed);
    if (there == 0 && place.site.compare_exchange_strong(there, key)) there = key;
    if (there != key) continue;
    place.count.fetch_add(1, std::memory_order_relaxed);
    if ((flags & kIntercepted) != 0) place.intercepted.fetch_add(1, std::memory_order_relaxed);
    if ((flags & kOrdered) != 0) place.ordered.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  region.lost_sites.fetch_add(1, std::memory_order_relaxed);
}

class Recorder final : public os::Observer {
 public:
  uint32_t families() const override {
    using os::Family, os::family_bit;
    return ~(family_bit(Family::process) | family_bit(Family::signal) | family_bit(Family::file) |
             family_bit(Family::scheduling));
  }

  void before(const os::ObservedCall& call, Kept& kept) override {
    Region* region = region_in_use.load(std::memory_order_acquire);
    if (region == nullptr) return;
    const os::MetaLevel meta;
    kept[kRegion] = reinterpret_cast<uint64_t>(region);
    kept[kSums] = sums();
    if (region->detail == Detail::kCount) return;
    ThreadLog* log = log_for(*region);
    if (log == nullptr) return;
    note_activity(*region, *log);
    kept[kPath] = find_path(*region, log->paths, call.site.address, call.frame);
    kept[kBegin] = clock_now();
  }

  void after(const os::ObservedCall& call, const Kept& kept, int64_t result, int error,
             bool left) override {
    Region* region = region_in_use.load(std::memory_order_acquire);
    if (region == nullptr || kept[kRegion] != reinterpret_cast<uint64_t>(region)) return;
    const os::MetaLevel meta;
    const uint16_t flags = what_became(kept[kSums]);
    if (region->detail == Detail::kCount) return count_site(*region, call, flags);
    ThreadLog* log = log_for(*region);
    if (log == nullptr || kept[kBegin] == 0) return;
    const uint64_t duration = clock_now() - kept[kBegin];
    const Shape shape = shapes_of_rows[call.row];
    Event event{kept[kBegin], static_cast<uint32_t>(std::min<uint64_t>(duration, ~0u)),
                static_cast<uint32_t>(kept[kPath]), call.arguments[0],
                static_cast<uint16_t>(call.row | flags | (left ? kUnwound : 0)),
                innermost_join_point(), cut(result)};
    if (result == -1 && error != 0) event.result = -error;
    if (shape == Shape::kCreate && result == 0 && !left) {
      event.object = *reinterpret_cast<const uint64_t*>(call.arguments[0]);
    }
    write_event(*region, *log, event);
    if (shape != Shape::kPlain) tell_more(*region, *log, shape, call, result);
  }

 private:
  enum { kRegion, kSums, kPath, kBegin };

  static void tell_more(Region& region, ThreadLog& log, Shape shape, const os::ObservedCall& call,
                        int64_t result) {
    if (shape == Shape::kCondition || shape == Shape::kCreate) {
      const uint64_t second = call.arguments[shape == Shape::kCreate ? 2 : 1];
      return write_event(region, log, Event{0, 0, 0, second, kSecond, kNoJoinPoint, 0});
    }
    if (result <= 0) return;
    size_t size = static_cast<size_t>(result);
    const void* bytes = moved_bytes(shape, call, &size);
    if (bytes == nullptr) return;
    Event event{0, 0, 0, 0, kBytes, kNoJoinPoint, 0};
    event.result = static_cast<int32_t>(std::min<size_t>(size, kKeptBytes));
    memcpy(&event, bytes, static_cast<size_t>(event.result));
    write_event(region, log, event);
  }
};

Recorder& recorder() {
  static os::NeverDestroyed<Recorder> instance;
  return *instance;
}

Region* make_region(const Plan& plan, char* error, unsigned error_size) {
  char path[512], snapshots[512];
  const long pid = syscall(SYS_getpid);
  const auto now = static_cast<unsigned long long>(monotonic_ns());
  snprintf(path, sizeof path, "%s/%ld-%llu.region", plan.directory, pid, now);
  snprintf(snapshots, sizeof snapshots, "%s/%ld-%llu.snapshots", plan.directory, pid, now);
  if (plan.snapshots && !begin_snapshots(snapshots, clock_now)) {
    snprintf(error, error_size, "%s: can't be written: %s", snapshots, strerrordesc_np(errno));
    return nullptr;
  }
  const uint64_t size = region_size_bytes(plan.chunk_count);
  const long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  void* memory = MAP_FAILED;
  if (fd >= 0 && syscall(SYS_ftruncate, fd, size) == 0) {
    memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, static_cast<int>(fd), 0);
  }
  if (memory == MAP_FAILED) {
    snprintf(error, error_size, "%s: the recording can't be written there: %s", path,
             strerrordesc_np(errno));
  }
  if (fd >= 0) syscall(SYS_close, fd);
  if (memory == MAP_FAILED) return nullptr;
  auto* region = static_cast<Region*>(memory);
  region->version = kRegionVersion;
  region->detail = plan.detail;
  region->size_bytes = size;
  region->chunk_count = plan.chunk_count;
  return region;
}

void describe_recording(Region& region) {
  in_ticks = ticks_are_time();
  region.clock = in_ticks ? Clock::kTicks : Clock::kNanoseconds;
  region.pid = static_cast<int32_t>(syscall(SYS_getpid));
  timespec realtime;
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &realtime);
  region.begin_realtime_ns = static_cast<uint64_t>(realtime.tv_sec) * 1'000'000'000 +
                             static_cast<uint64_t>(realtime.tv_nsec);
  region.begin_monotonic_ns = monotonic_ns();
  region.begin_clock = clock_now();
  region.call_count = std::min<uint32_t>(os::kCallRowCount, kMaxCalls);
  for (uint32_t row = 0; row < region.call_count; ++row) {
    strncpy(region.call_names[row], os::kCallRows[row].name, sizeof region.call_names[row] - 1);
  }
}

void add_module(const os::Module& module, void* to) {
  Region& region = *static_cast<Region*>(to);
  const uint32_t index = region.module_count.load(std::memory_order_relaxed);
  if (index >= kMaxModules) return;
  ModuleRow& row = region.modules[index];
  memset(&row, 0, sizeof row);
  if (module.executable) {
    syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", row.path, sizeof row.path - 1);
  } else {
    strncpy(row.path, module.path, sizeof row.path - 1);
  }
  row.base = module.base;
  row.begin = module.begin;
  row.end = module.end;
  region.module_count.store(index + 1, std::memory_order_release);
}

}  // namespace

bool is_recording() { return region_in_use.load(std::memory_order_acquire) != nullptr; }

bool recording_is_to_end() {
  const Region* region = region_in_use.load(std::memory_order_acquire);
  return region != nullptr && region->asked_to_end.load(std::memory_order_acquire) != 0;
}

bool begin_recording(const Plan& plan, const Context& with, char* error, unsigned error_size) {
  const os::MetaLevel meta;
  if (is_recording()) {
    snprintf(error, error_size, "a recording is on already");
    return false;
  }
  Region* region = make_region(plan, error, error_size);
  if (region == nullptr) return false;
  markers::prepare_stack_inspection();
  context = with;
  find_shapes();
  describe_recording(*region);
  if (log_key_plus_one == 0) {
    pthread_key_t key;
    if (pthread_key_create(&key, close_log) == 0) log_key_plus_one = key + 1;
  }
  region_in_use.store(region, std::memory_order_release);
  record_modules();
  record_unsupported_uses();
  region->recording.store(1, std::memory_order_release);
  __atomic_store_n(&region->magic, kRegionMagic, __ATOMIC_RELEASE);  // now it can be read
  markers::set_watch(&kWatch);
  os::observe(&recorder());
  return true;
}

void record_modules() {
  Region* region = region_in_use.load(std::memory_order_acquire);
  if (region == nullptr) return;
  const os::MetaLevel meta;
  region->module_generation.fetch_add(1, std::memory_order_acq_rel);
  region->module_count.store(0, std::memory_order_relaxed);
  os::for_each_module(add_module, region);
  region->module_generation.fetch_add(1, std::memory_order_acq_rel);
  os::observe_new_modules();
}

void record_unsupported_uses() {
  Region* region = region_in_use.load(std::memory_order_acquire);
  if (region != nullptr) region->uses.add_all(os::counters().uses);
}

// The mapping stays: a thread may be in the middle of an event.
void end_recording() {
  const os::MetaLevel meta;
  Region* region = region_in_use.exchange(nullptr, std::memory_order_acq_rel);
  if (region == nullptr) return;
  os::observe(nullptr);
  markers::set_watch(nullptr);
  region->recording.store(0, std::memory_order_release);
}

void forget_recording_in_child() {
  region_in_use.store(nullptr, std::memory_order_release);
  log_of_this_thread = nullptr;
}

}  // namespace auxin::recording
