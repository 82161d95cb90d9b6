// SPDX-License-Identifier: Apache-2.0
//
// The stable log: the ordered log of a group, in stable memory.
//
// The idea. A ring of 64-byte entries, addressed by position (0, 1, 2 …, never reused), beside a
// ring of payload bytes, addressed by absolute offset. An appender takes a position with one
// fetch-and-add, fills its entry, and publishes it by storing the entry's stamp last; no appender
// ever waits for another. What is not published does not exist. A reader goes from position to
// position and stops at the first unpublished one. When the appending process has died and been
// fenced, unpublished positions below the end are holes: the new appender seals each with an entry
// of kind kHole, so that every reader passes them.
//
//   entries:  … | 41 published | 42 (being filled) | 43 published | 44 | end
//   payload:  … |  bytes of 41  |  bytes of 43  | … | payload_end
//
// Every entry carries a checksum over itself, its position and its payload, checked by read().
// The `outcome` word alone may change after publication, once, from 0; it checks itself.
//
// Ring limits: the appender must stay below `begin` + capacity; release() raises `begin` to give
// room. What lies before `begin` is gone for good.
//
// One appending *process* at a time (its fence is replication's business), any number of threads in
// it; any number of reading processes.
//
// Hook-safe: append, publish, read and set_outcome neither allocate nor block.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "stmemu/result.h"
#include "stmemu/log/stable_memory.h"

namespace auxin::stm {

// One log entry. What the fields mean for each kind is the log's user's (replication/log_entry.h);
// the log itself knows only `kind == kHole` and the payload fields.
struct LogEntry {
  uint64_t activity;
  uint32_t step;
  uint8_t kind;             // 0 is kHole
  uint8_t flags;
  uint16_t call;
  uint64_t object;
  uint64_t number;
  uint64_t payload_offset;  // absolute; meaningful if payload_size_bytes > 0 (else free to use)
  uint32_t payload_size_bytes;
};

inline constexpr uint8_t kHole = 0;

struct LogSlot;  // an entry in stable memory, log_slot.h

class StableLog {
 public:
  // A log lives in the memory given, which must outlive it. `format` makes it empty (creation).
  static void format(StableMemory& memory);
  explicit StableLog(StableMemory& memory);

  // --- appending (the leader) ---

  // Room for `size` payload bytes: an absolute offset. The caller writes through payload_at before
  // it publishes the entry that refers to it. Never fails; the caller keeps within the ring by
  // asking free_payload_bytes / free_entries first (see has_room).
  uint64_t allocate_payload(uint64_t size_bytes);
  char* payload_at(uint64_t offset) const;  // valid for payload_size_bytes from there: no wrap

  // Appends and publishes `entry`; returns its position. Checksums the payload.
  uint64_t append(const LogEntry& entry);
  // The same in two steps, for callers that need the position before the entry is complete.
  uint64_t reserve();
  void publish(uint64_t position, const LogEntry& entry);

  // Appends and publishes an entry without payload if there is room for `entries` and
  // `payload_bytes` (below); kNoRoom if not.
  static constexpr uint64_t kNoRoom = ~0ull;
  uint64_t append_if_room(const LogEntry& entry, uint64_t entries, uint64_t payload_bytes);

  // True if `entries` and `payload_bytes` more fit before the ring would overrun begin().
  bool has_room(uint64_t entries, uint64_t payload_bytes) const;

  // The outcome of a published entry: 0 = none yet. Set once; a second, different value is a
  // CHECK failure. `value` < 2^32 - 1.
  void set_outcome(uint64_t position, uint32_t value);
  // False: none yet.
  bool outcome(uint64_t position, uint32_t* value) const;

  // --- reading (any process) ---

  enum class Read {
    kEntry,      // *entry is filled
    kNotYet,     // nothing published there (yet)
    kReleased,   // position < begin(): gone
    kCorrupt,    // published, but the checksum differs
  };
  Read read(uint64_t position, LogEntry* entry) const;

  uint64_t begin() const;          // first position still there
  uint64_t end() const;            // one past the last reserved position
  uint64_t payload_begin() const;
  uint64_t payload_end() const;

  // Sleeps until end() may have passed `position`, a wake() or the timeout (µs), whichever is
  // first. The appender does not wake (paper 004's leader never waits for its followers); wake() is
  // for takeovers and shutdown.
  void wait(uint64_t position, uint32_t timeout_us) const;
  void wake() const;

  // --- recovery and space (the new leader; after the fence) ---

  // Seals every unpublished position below end(). Returns how many. Idempotent: a crash in it
  // leaves a log on which it can be run again.
  uint64_t seal_holes();
  // Gives up everything before `position` (payload before `payload_offset`). Monotonic. Threads
  // take position and payload in two steps, so an entry behind `position` may have its payload
  // before that of an entry ahead of it: pass the lowest offset that is still needed.
  void release(uint64_t position, uint64_t payload_offset);

 private:
  struct Header;   // in stable memory, see FORMAT.md

  bool payload_exists(uint64_t offset, uint64_t size_bytes) const;
  uint64_t known_end(uint64_t position) const;

  Header* header_;
  LogSlot* slots_;
  char* payload_;
  uint64_t entry_mask_, payload_mask_, seed_;
  mutable uint64_t known_end_ = 0;  // a value that end() had; accessed atomically
};

}  // namespace auxin::stm
