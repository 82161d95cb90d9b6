// SPDX-License-Identifier: Apache-2.0
//
// Memory that outlives the processes that use it.
//
// A StableMemory is the part of a group's memory file (memory/physical_memory.h) that every replica
// of the group on this node, its supervisor and the `auxin` command map and store into at every
// request: the file's plain area, beside the banks, whose objects are changed in transactions. It
// holds a control area (the group's words: epoch, replicas, connections; its layout belongs to
// replication/) and the stable log (stable_log.h).
// The emulation of the FTM's battery-backed board: a processor may die at any instruction, the
// memory stays (paper 001, §2). What must survive a torn store carries a checksum or is one
// aligned 8-byte word.
//
// The file is made whole before it has its name (memory/new_file.h). FORMAT.md has the layout of
// the area, memory/FORMAT.md that of the file.
//
// Thread safety: open/create are not; a mapped memory may be used from any thread and process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "stmemu/result.h"

namespace auxin::stm {

struct Layout {
  uint64_t control_size_bytes = 0;   // multiple of 4096
  uint64_t entry_capacity = 0;       // log entries, a power of two
  uint64_t payload_size_bytes = 0;   // log payload ring, a power of two, multiple of 4096
};

class StableMemory {
 public:
  StableMemory() = default;
  StableMemory(StableMemory&& other) noexcept;
  StableMemory& operator=(StableMemory&& other) noexcept;
  ~StableMemory();  // unmaps; the file stays

  // Makes `path` (must not exist) with the layout; `control_version` is the caller's own version of
  // the control area's layout. The log part is sparse: storage is taken as the log grows
  // (reserve_log). Errors name the path and say what to do: exists, no space, not permitted.
  // Not from a hook.
  static Result<StableMemory> create(const std::string& path, const Layout& layout,
                                     uint32_t control_version);
  // Maps an existing memory. Refuses, with a sentence: a missing file, a foreign or truncated file,
  // one without a group's log, another format or control version, a bad header checksum, a file of
  // another user or with permissions for others. One good superblock will do. `read_only` maps
  // without write access (for status).
  static constexpr uint32_t kAnyControlVersion = ~0u;  // to look at the log alone
  static Result<StableMemory> open(const std::string& path, uint32_t control_version,
                                   bool read_only = false);
  // The same, but what this process stores is its own: neither the file nor anybody else sees it,
  // and it is gone with the process. For a process that goes through a finished log by itself; the
  // file must not change meanwhile. Refuses as open() does.
  static Result<StableMemory> open_private(const std::string& path, uint32_t control_version);

  bool valid() const { return base_ != nullptr; }
  void* control() const;
  const Layout& layout() const { return layout_; }
  void* entries() const;    // entry_capacity * 64 bytes
  void* payload() const;    // payload_size_bytes, mapped twice in a row: a range never wraps
  void* log_page() const;   // 4096 bytes before the entries: the log's own words
  uint64_t seed() const;    // random for each memory; goes into the log's checksums
  const std::string& path() const { return path_; }

  // Makes sure that storage stands behind the first `entries` entries and `payload_bytes` payload
  // bytes, so that a later store can't fault for want of space (SIGBUS). Idempotent and cheap when
  // already so; called by the leader ahead of the log's end. False: the file system is full (the
  // log must then wrap within what it has).
  //
  // One thread at a time. Keeps errno. Storage is taken 16 MiB ahead of what is asked for.
  bool reserve_log(uint64_t entries, uint64_t payload_bytes);

  // Maps the storage of `count` entries from ring index `first` on into this process, so that no
  // appender takes a page fault there (and the same for payload bytes). A hint: it may do nothing,
  // and only reaches to the ring's end. Any thread; keeps errno; may take some microseconds a page.
  void map_entries_ahead(uint64_t first, uint64_t count);
  void map_payload_ahead(uint64_t first_byte, uint64_t size_bytes);

 private:
  enum class Access { kShared, kReadOnly, kPrivate };
  static Result<StableMemory> open_for(const std::string& path, uint32_t control_version,
                                       Access access);
  static void* map_whole(int fd, uint64_t area_offset, const Layout& layout, Access access);
  bool reserve_part(uint64_t* reserved, uint64_t wanted, uint64_t limit, uint64_t unit_size_bytes,
                    uint64_t start);

  void* base_ = nullptr;                // of the area's mapping
  size_t mapped_size_bytes_ = 0;
  Layout layout_;
  std::string path_;
  uint64_t area_offset_ = 0;            // in the file
  int fd_ = -1;                         // for reserve_log only; -1: the file is not stored into
  uint64_t device_ = 0, inode_ = 0;     // whose descriptor fd_ must still be
  uint64_t reserved_entries_ = 0, reserved_payload_ = 0;
};

}  // namespace auxin::stm
