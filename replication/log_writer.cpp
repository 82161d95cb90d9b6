// SPDX-License-Identifier: Apache-2.0
#include "replication/log_writer.h"

#include <string.h>

#include <algorithm>

#include "replication/futex.h"
#include "replication/kill_points.h"
#include "replication/replica.h"
#include "stmemu/check.h"

namespace auxin::replication {
namespace {

constexpr uint64_t kEntriesAhead = 1 << 16;
constexpr uint64_t kPayloadAhead = 8 << 20;
constexpr uint64_t kEntriesMapped = 1 << 14;   // in this process, ahead of the log's end
constexpr uint64_t kPayloadMapped = 2 << 20;
constexpr uint64_t kPauseNs = 200'000;
constexpr uint64_t kCheckpointPatienceNs = 10'000'000'000;  // a passive style's, with a full log
constexpr uint64_t kHeldBackShare = 4;  // … from when on less than a quarter of the log is left

struct Progress {
  uint64_t position = 0;
  uint64_t moved_at_ns = 0;
};
Progress progress[kMaxReplicas];
std::atomic<uint64_t> needed{0};
std::atomic<uint64_t> kept{0};  // what a replica that catches up needs too
std::atomic<uint64_t> join_pause_ns{0};  // per receive, while somebody catches up

constexpr uint64_t kEntriesLookedAt = 4096;
constexpr uint64_t kScarceShare = 16;  // less than 1/16 of the log is left
constexpr size_t kLeastPieceBytes = kLandingSizeBytes, kMostPieceBytes = 1 << 20;

// The payload offset that must be kept for `position` and later. Payload is allocated after its
// entry's position (append_with_payload), so an entry's offset may be too high for its place, if
// its thread was slow, but never too low: the lowest one is among the first few.
uint64_t payload_needed(uint64_t position) {
  stm::StableLog& log = replica->log();
  uint64_t lowest = log.payload_end();  // before the end is read: whatever is below has a position
  uint64_t looked_at = 0;
  stm::LogEntry entry;
  for (uint64_t at = position; at < log.end() && looked_at < kEntriesLookedAt; ++at) {
    // Being written: nothing is known of its payload yet.
    if (log.read(at, &entry) != stm::StableLog::Read::kEntry) return log.payload_begin();
    if (entry.payload_size_bytes == 0) continue;
    lowest = std::min(lowest, entry.payload_offset);
    ++looked_at;
  }
  return lowest;
}

// Room for one entry, its payload and `1 / share` of the rings: what other threads may be taking at
// the same moment.
bool has_room(size_t payload_bytes, uint64_t share) {
  const stm::Layout& layout = replica->memory().layout();
  return replica->log().has_room(layout.entry_capacity / share,
                                 layout.payload_size_bytes / share + payload_bytes);
}

// In a passive style the log is all there is of what came after the newest checkpoint. It is kept
// until the next one, which may not come: then the leader goes on, without anybody to take over.
bool checkpoint_is_awaited(uint64_t now_ns) {
  static std::atomic<uint64_t> full_since_ns{0};
  if (has_room(0, kHeldBackShare)) {
    full_since_ns.store(0);
    return true;
  }
  uint64_t since_ns = 0;
  if (full_since_ns.compare_exchange_strong(since_ns, now_ns)) return true;
  return now_ns - since_ns < kCheckpointPatienceNs;
}

// Gives up some of the log's old end, or waits a moment where all of it is needed.
void make_room() {
  stm::StableLog& log = replica->log();
  tend_log();
  const uint64_t keep = kept.load(std::memory_order_relaxed);
  // In steps, so that a newcomer that reads the old end is not outrun for nothing.
  const uint64_t target =
      std::min(keep, log.begin() + replica->memory().layout().entry_capacity / 8);
  const uint64_t payload = payload_needed(target);
  if (target > log.begin() || payload > log.payload_begin()) {
    replica->control().rejoin_possible.store(0);
    log.release(target, payload);
  } else {
    sleep_ns(kPauseNs);
  }
}

struct Place {
  uint64_t position;
  uint64_t payload_offset;
};

void before_append() {
  // Dies in the middle of it.
  if (kill_point_armed(KillPoint::kBeforeAppend)) replica->log().reserve();
  kill_point(KillPoint::kBeforeAppend);
}

// The position first: payload_needed relies on it.
Place take_place(size_t payload_bytes) {
  stm::StableLog& log = replica->log();
  const uint64_t position = log.reserve();
  return {position, payload_bytes > 0 ? log.allocate_payload(payload_bytes) : 0};
}

// Where little is left, threads look and take one by one.
[[gnu::noinline]] Place take_scarce_place(size_t payload_bytes) {
  static constinit FutexLock scarce;
  FutexGuard guard(scarce);
  while (!has_room(payload_bytes, kScarceShare * 2)) make_room();
  return take_place(payload_bytes);
}

Place find_place(size_t payload_bytes) {
  before_append();
  if (has_room(payload_bytes, kScarceShare)) [[likely]] return take_place(payload_bytes);
  return take_scarce_place(payload_bytes);
}

// How long each receive pauses while replica `id` replays the past: so long that the log grows at
// about half the speed at which it reads, or it never arrives.
class JoinPace {
 public:
  void look(int id, uint64_t position, uint64_t end, uint64_t now_ns) {
    if (id_ == id && now_ns - looked_at_ns_ < kLookNs) return;
    const uint64_t read = position - position_, grown = end - end_;
    if (id_ == id && read > 0 && position >= position_) {
      const uint64_t pause_ns = join_pause_ns.load(std::memory_order_relaxed);
      if (grown > read / 2) {
        set(std::clamp(pause_ns + pause_ns / 2, kLeastPauseNs, kMostPauseNs));
      } else if (grown < read / 3) {
        set(pause_ns <= kLeastPauseNs ? 0 : pause_ns - pause_ns / 3);
      }
    }
    id_ = id;
    position_ = position;
    end_ = end;
    looked_at_ns_ = now_ns;
  }
  void nobody_joins() {
    id_ = -1;
    set(0);
  }

 private:
  static constexpr uint64_t kLookNs = 50'000'000;
  static constexpr uint64_t kLeastPauseNs = 20'000, kMostPauseNs = 20'000'000;
  static void set(uint64_t pause_ns) { join_pause_ns.store(pause_ns, std::memory_order_relaxed); }

  int id_ = -1;
  uint64_t position_ = 0, end_ = 0, looked_at_ns_ = 0;
};
JoinPace join_pace;  // used where tend_log is not busy

}  // namespace

uint64_t append(const stm::LogEntry& entry) {
  before_append();
  const stm::Layout& layout = replica->memory().layout();
  uint64_t position = replica->log().append_if_room(
      entry, layout.entry_capacity / kScarceShare, layout.payload_size_bytes / kScarceShare);
  if (position == stm::StableLog::kNoRoom) [[unlikely]] {
    position = take_scarce_place(0).position;
    replica->log().publish(position, entry);
  }
  kill_point(KillPoint::kAfterAppend);
  return position;
}

uint64_t append_with_payload(stm::LogEntry entry, const void* data, size_t size_bytes) {
  CHECK(size_bytes <= most_payload_bytes(), "a payload is cut to what a log of this size takes");
  const Place place = find_place(size_bytes);
  stm::StableLog& log = replica->log();
  entry.payload_size_bytes = static_cast<uint32_t>(size_bytes);
  entry.payload_offset = place.payload_offset;
  memcpy(log.payload_at(entry.payload_offset), data, size_bytes);
  log.publish(place.position, entry);
  kill_point(KillPoint::kAfterAppend);
  return place.position;
}

size_t most_payload_bytes() {
  return std::clamp<size_t>(replica->memory().layout().payload_size_bytes / 256, kLeastPieceBytes,
                            kMostPieceBytes);
}

uint64_t needed_position() { return needed.load(std::memory_order_relaxed); }

void tend_log() {
  static std::atomic_flag busy = ATOMIC_FLAG_INIT;
  if (busy.test_and_set(std::memory_order_acquire)) return;
  GroupControl& control = replica->control();
  const uint64_t now_ns = monotonic_ns();
  const uint64_t stall_ns = uint64_t{control.settings.stall_ms} * 1'000'000;
  const uint64_t end = replica->log().end();
  uint64_t lowest = end;
  uint64_t keep = end;
  int joiner = -1;  // the one that is farthest behind
  for (int id = 0; id < kMaxReplicas; ++id) {
    if (id == replica->id()) continue;
    ReplicaSlot& other = control.replicas[id];
    const Role role = other.role.load();
    if (role != Role::kFollower && role != Role::kJoining) continue;
    const uint64_t position = other.position.load();
    Progress& seen = progress[id];
    if (position != seen.position || seen.moved_at_ns == 0 || position >= end) {
      seen = Progress{position, now_ns};
      if (other.excluded.load() != 0 && role == Role::kFollower &&
          end - position < control.settings.lag_bound_entries)
        other.excluded.store(0);  // it has caught up again
    } else if (now_ns - seen.moved_at_ns > stall_ns && other.excluded.load() == 0) {
      other.excluded.store(1);
    }
    if (role == Role::kJoining && other.excluded.load() == 0 &&
        end - position > control.settings.lag_bound_entries &&
        (joiner < 0 || position < control.replicas[joiner].position.load()))
      joiner = id;
    if (other.excluded.load() == 0) keep = std::min(keep, position);
    if (role == Role::kFollower && other.excluded.load() == 0) lowest = std::min(lowest, position);
  }
  if (is_passive(control.style.load(std::memory_order_relaxed)) && checkpoint_is_awaited(now_ns))
    keep = std::min(keep, control.checkpoint_position.load());
  needed.store(lowest, std::memory_order_relaxed);
  kept.store(keep, std::memory_order_relaxed);
  if (joiner < 0) {
    join_pace.nobody_joins();
  } else {
    join_pace.look(joiner, control.replicas[joiner].position.load(), end, now_ns);
  }
  busy.clear(std::memory_order_release);
}

void reserve_log_ahead() {
  const stm::Layout& layout = replica->memory().layout();
  replica->memory().reserve_log(
      std::min(replica->log().end() + kEntriesAhead, layout.entry_capacity),
      std::min(replica->log().payload_end() + kPayloadAhead, layout.payload_size_bytes));
  static uint64_t entries_mapped = 0, payload_mapped = 0;
  if (const uint64_t end = replica->log().end(); end + kEntriesMapped / 2 > entries_mapped) {
    const uint64_t from = std::max(end, entries_mapped);
    entries_mapped = end + kEntriesMapped;
    replica->memory().map_entries_ahead(from % layout.entry_capacity, entries_mapped - from);
  }
  if (const uint64_t end = replica->log().payload_end();
      end + kPayloadMapped / 2 > payload_mapped) {
    const uint64_t from = std::max(end, payload_mapped);
    payload_mapped = end + kPayloadMapped;
    replica->memory().map_payload_ahead(from % layout.payload_size_bytes, payload_mapped - from);
  }
}

void hold_back_for_checkpoint() {
  GroupControl& control = replica->control();
  if (has_room(0, kHeldBackShare)) [[likely]] return;
  while (is_passive(control.style.load()) && checkpoint_is_awaited(monotonic_ns()) &&
         !has_room(0, kHeldBackShare)) {
    // What a checkpoint has made superfluous.
    if (control.checkpoint_position.load() > replica->log().begin()) make_room();
    sleep_ns(kPauseNs);
  }
}

void hold_back_for_followers() {
  if (const uint64_t pause_ns = join_pause_ns.load(std::memory_order_relaxed)) [[unlikely]]
    sleep_ns(pause_ns);
  const uint64_t bound = replica->settings().lag_bound_entries;
  for (;;) {
    const uint64_t end = replica->log().end();
    const uint64_t lowest = needed_position();
    if (end <= lowest || end - lowest <= bound) return;
    tend_log();  // positions move on while nobody looks
    if (end - needed_position() <= bound) return;
    sleep_ns(kPauseNs);
  }
}

}  // namespace auxin::replication
