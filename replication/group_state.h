// SPDX-License-Identifier: Apache-2.0
//
// The words of a group in stable memory: the control area of its StableMemory.
//
// Written by the replicas (each its own slot; the leader the shared tables), by the supervisor
// (settings before the first replica starts, process states) and read by everyone, `auxin status`
// included, without any lock: each word is one aligned store, and what must be consistent together
// is guarded by a sequence number or is only a report. Nothing here is believed blindly after a
// crash: what matters for recovery is re-derived from the log and the kernel.
//
// Plain data, fixed layout, versioned by kControlVersion.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "libmeta_os/counters.h"
#include "libmeta_os/unsupported_use.h"
#include "stmemu/robust_lock.h"

namespace auxin::replication {

inline constexpr uint32_t kControlVersion = 10;
inline constexpr int kMaxReplicas = 8;
inline constexpr int kMaxThreads = 2048;       // per replica: threads that touch log or sockets
inline constexpr int kMaxConnections = 4096;
inline constexpr int kMaxListeners = 32;
inline constexpr int kMaxPromotions = 256;     // the latest ones are kept
inline constexpr int kMaxUnsupported = 64;
inline constexpr uint32_t kLandingSizeBytes = 16384;  // per connection

// Passive styles: only the leader executes. In the warm one a backup holds the newest checkpoint in
// memory, in the cold one checkpoint and log are all there is of it.
enum class Style : uint32_t { kNone = 0, kSemiActive = 1, kWarmPassive = 2, kColdPassive = 3 };

inline bool is_passive(Style style) {
  return style == Style::kWarmPassive || style == Style::kColdPassive;
}

enum class Wish : uint32_t { kNone = 0, kStyle = 1, kRestore = 2 };

enum class GroupPhase : uint32_t {
  kStarting = 0,   // no replica has led yet
  kRunning = 1,
  kEnding = 2,     // the leader has begun an orderly end (exit_status is set)
  kEnded = 3,      // orderly end complete: the next start is fresh
  kStopped = 4,    // stopped for cause (stop_reason): a poisoned request, no replica left to start
};

enum class Role : uint32_t {
  kAbsent = 0, kJoining = 1, kFollower = 2, kLeader = 3, kDead = 4, kDiverged = 5, kPromoting = 6,
  kBackup = 7  // of a passive style: does not execute; takes over from the newest checkpoint
};

enum class Compare : uint32_t { kBytes = 0, kLength = 1, kNone = 2 };

inline constexpr uint32_t kAutomaticInterval = ~0u;  // of Settings::checkpoint_every_s

// What the supervisor took from configuration; fixed for the group's life.
struct Settings {
  Style style;                    // to begin with; GroupControl::style is what it is now
  uint32_t replica_count;
  uint32_t spin_ns;               // a waiting follower spins this long before it sleeps
  uint32_t follower_poll_us;      // how often an idle follower looks at the log
  uint32_t lag_bound_entries;     // above it the leader slows down
  uint32_t stall_ms;              // a follower that does not move for so long does not count
  uint32_t hang_ms;               // a leader without a heartbeat for so long is killed
  Compare compare;
  uint32_t follower_one_cpu;      // 1: followers keep to one CPU in SCHED_BATCH until promoted
  // A follower saves itself when any of these is over since it was last tried; 0: never for it.
  uint32_t checkpoint_every_s;
  uint32_t checkpoint_every_requests;
  uint32_t checkpoint_log_percent;  // of the log's room, entries or payload
  uint32_t checkpoint_deltas;       // at most so many follow a base
  uint32_t checkpoint_method;       // checkpoint::TrackingMethod
  uint32_t order_every_lock;      // 1: as a single-level system must (one replica; to measure)
  char map_directory[256];
  char meta_object[256];          // path of a user's meta-object, or ""
};

struct alignas(64) ThreadSlot {
  stm::RobustLock life;                    // held by the thread as long as it lives
  std::atomic<uint64_t> activity;          // what it works on now, 0: nothing
  std::atomic<uint64_t> activity_position; // log position of the last entry of that activity
  std::atomic<uint32_t> request_id;
  std::atomic<int32_t> tid;
  std::atomic<int32_t> pid;                // of the process whose thread it is
  uint32_t padding_word;
  char operation[24];                      // of the request that it works on, cut; "": not known
};

inline constexpr uint64_t kOnlyLook = 1ull << 63;  // in a checkpoint's number

struct alignas(64) ReplicaSlot {
  stm::RobustLock life;                    // held by the replica's steward thread
  std::atomic<int32_t> pid;                // the server process itself (not a wrapper); 0: none
  std::atomic<int32_t> keeper_pid;         // process that shares its descriptors; 0: none
  std::atomic<uint64_t> start_time_ticks;  // of pid, /proc/PID/stat field 22
  std::atomic<Role> role;
  std::atomic<uint32_t> incarnation;       // +1 at each start, by the supervisor
  std::atomic<uint64_t> position;          // lowest log position not yet consumed
  std::atomic<uint64_t> heartbeat;         // changes while the process runs
  std::atomic<uint32_t> ready;             // 1: serves, or follows closely
  std::atomic<uint32_t> excluded;          // 1: put out for stalling; reads it on waking
  std::atomic<uint64_t> compared;          // replies compared with the leader's, all incarnations
  std::atomic<uint64_t> mismatches;        // all incarnations
  std::atomic<uint32_t> child_pid;         // what the supervisor started (0: not running)
  std::atomic<uint32_t> exit_known;        // 1: wait_status is set for this incarnation
  std::atomic<int32_t> wait_status;        // as wait(2) gave it, of the last incarnation
  std::atomic<uint32_t> checkpoint_refused;  // 1: the fault below will be there next time, too
  // A checkpoint: the supervisor writes its number into `wanted`, and the replica answers by the
  // same number in `answered`, with what stands between them. With kOnlyLook in it nothing is
  // saved: the answer is whether it could be.
  std::atomic<uint64_t> checkpoint_wanted;   // 0: none yet
  std::atomic<uint64_t> checkpoint_image;    // the base that it follows; itself: it is one
  std::atomic<uint64_t> checkpoint_bytes;
  std::atomic<uint64_t> checkpoint_pause_ns; // its threads stood still
  std::atomic<uint32_t> checkpoint_goes_on;  // 1: the next one can be a delta
  char checkpoint_fault[384];                // "": it is good
  std::atomic<uint64_t> checkpoint_answered;
  char message[512];                       // why it diverged or stopped; "" none
  std::atomic<uint32_t> crash_activity_count;  // activities its threads were in when it crashed
  std::atomic<uint32_t> checkpoint_method; // of the one answered: checkpoint::TrackingMethod
};

struct ListenerSlot {
  std::atomic<uint64_t> number;            // from 1; 0: free
  std::atomic<int32_t> fd[kMaxReplicas];   // descriptor in each replica, -1: none
  std::atomic<uint64_t> cookie;            // SO_COOKIE
  uint32_t address_size_bytes;
  uint32_t padding;
  sockaddr_storage address;
};

enum class ConnectionState : uint32_t { kFree = 0, kOpen = 1, kClosed = 2 };

struct alignas(64) ConnectionSlot {
  std::atomic<ConnectionState> state;
  std::atomic<int32_t> leader_fd;          // in the process that wrote this slot last
  std::atomic<uint64_t> number;            // logical connection number, from 1
  std::atomic<uint64_t> cookie;            // SO_COOKIE of the socket
  std::atomic<uint64_t> closed_position;   // of its kClose entry
  std::atomic<int32_t> holder_pid;         // process in whose table leader_fd is
  std::atomic<int32_t> holder_keeper_pid;
  // The latest Send entry that has an outcome, and its outcome: for followers whose Send entry the
  // log has given up while the client took its time.
  std::atomic<uint64_t> settled_send;      // kNoPosition while it changes
  std::atomic<uint32_t> settled_outcome;
};

struct PromotionRecord {
  std::atomic<uint32_t> sequence;          // odd while written
  uint32_t epoch;
  int32_t from, to;                        // replica ids
  uint32_t reason;                         // 0 death, 1 hang
  int32_t from_pid;
  uint64_t detected_ns, serving_ns;        // CLOCK_MONOTONIC
  std::atomic<uint64_t> died_ns;           // as the kernel knows it, by the supervisor; 0: unknown
  uint64_t at_realtime_ns;
  uint64_t log_position;
};

struct UnsupportedNote {
  std::atomic<uint32_t> used;
  char text[252];
};

struct alignas(4096) GroupControl {
  char name[64];
  uint64_t group_id;                       // random, from creation
  std::atomic<GroupPhase> phase;
  std::atomic<int32_t> exit_status;        // of the orderly end: as exit(3) got it
  char stop_reason[512];
  // The leader was told to end (SIGTERM, SIGINT): until then, on the monotonic clock, its death is
  // the group's end, however it dies, and nobody takes over. 0: it was not told.
  std::atomic<uint64_t> end_asked_until_ns;
  Settings settings;
  std::atomic<Style> style;                // by the supervisor
  // What commands ask of the supervisor: one at a time, numbered by `wishes`.
  std::atomic<uint64_t> wishes;
  std::atomic<uint64_t> wishes_answered;
  std::atomic<Wish> wish;
  std::atomic<uint64_t> wish_value;        // a style; a checkpoint's number, 0: the newest
  char wish_answer[512];                   // "+": done, "-": why not, with what to tell people

  std::atomic<int32_t> supervisor_pid;
  stm::RobustLock supervisor;              // held by the living supervisor's main thread
  std::atomic<int32_t> group_pid;          // what getpid() says in every replica; 0: not yet
  char map_names[128];                     // join-point maps in force, comma-separated
  char facets[256];                        // active facets, comma-separated

  alignas(64) stm::RobustLock leadership;  // held by the leader's steward thread
  std::atomic<uint32_t> epoch;             // number of leaderships so far
  std::atomic<int32_t> leader;             // replica id, -1: none
  std::atomic<int32_t> leader_pid;         // the process that leads: what a successor fences
  std::atomic<int32_t> leader_keeper_pid;  // and where its descriptors are kept
  std::atomic<int32_t> hung_pid;           // a leader that a follower killed for its silence
  std::atomic<uint32_t> promotion_count;
  std::atomic<uint32_t> rejoin_possible;   // 1: the log still reaches back to its start
  std::atomic<uint64_t> requests;          // by the leaders so far, monotonic
  std::atomic<uint64_t> next_connection;   // numbers given so far
  std::atomic<uint64_t> replies;           // replies sent, monotonic

  // Checkpoints. The directory is written once; each has a directory of its own there, its number.
  char checkpoint_directory[256];
  std::atomic<uint64_t> checkpoint_number;    // the newest that is complete; 0: none
  std::atomic<uint64_t> checkpoint_position;  // the log is kept from here on, as long as it can be
  std::atomic<uint64_t> checkpoints_asked;    // by the command, so far
  std::atomic<uint64_t> checkpoints_answered; // of these
  char checkpoint_answer[512];                // of the latest; "": it is good
  std::atomic<uint32_t> checkpoint_method;    // of the newest, as its replica said; 0: not known
  uint32_t padding3;
  char checkpoint_obstacle[512];              // why there can be none; "": not known of any
  // The group has gone back to that checkpoint: its history goes on from this place in the log, and
  // not from where the checkpoint was taken. 0: never. The position is written first.
  std::atomic<uint64_t> restored_position;
  std::atomic<uint64_t> restored_checkpoint;

  // Lock counts of the group: the leaders' so far. `base` holds the sums of ended leaderships.
  std::atomic<uint32_t> class_count;
  os::SiteClass classes[os::kMaxSiteClasses];
  os::CounterRow leader_rows[os::kMaxSiteClasses];
  os::CounterRow base_rows[os::kMaxSiteClasses];
  std::atomic<uint64_t> requests_at_base;

  // A recording of the leader that the command asks for: until then, on the monotonic clock; 0:
  // none. The directory is written first, and gets the region (recording/region.h).
  std::atomic<uint64_t> record_until_ns;
  char record_directory[256];

  PromotionRecord promotions[kMaxPromotions];
  UnsupportedNote unsupported[kMaxUnsupported];  // as sentences
  os::UseTable uses;                             // as facts, of all replicas
  ListenerSlot listeners[kMaxListeners];
  ReplicaSlot replicas[kMaxReplicas];
  ThreadSlot threads[kMaxReplicas][kMaxThreads];
  ConnectionSlot connections[kMaxConnections];
  // Followed (page-aligned) by kMaxConnections landing buffers of kLandingSizeBytes.
};

inline constexpr uint64_t kLandingOffset = (sizeof(GroupControl) + 4095) / 4096 * 4096;
inline constexpr uint64_t kControlSizeBytes =
    kLandingOffset + uint64_t{kMaxConnections} * kLandingSizeBytes;

}  // namespace auxin::replication
