// SPDX-License-Identifier: Apache-2.0
//
// The board: the volatile part of a memory file, behind the two banks. Locks, who has which object
// open, who waits for whom, and what the page table says in a form that is quick to read.
//
// It is shared by all processes that use the memory and made anew by the first that comes when none
// is there (PhysicalMemory::attach). Nothing in it decides what a committed object holds.
//
// Owner words. Each object has one, found by its header's place. It names the transaction that has
// the object open: context, activation and the index in the transaction's list of objects. A word
// whose context is not in that activation is void: ending a transaction voids all its words at
// once, and a process that dies between two stores leaves nothing to be cleaned up.
#pragma once

#include <atomic>
#include <cstdint>

#include "stmemu/memory/format.h"
#include "stmemu/robust_lock.h"

namespace auxin::stm {

inline constexpr uint32_t kContexts = 512;
inline constexpr uint32_t kSignals = 64;

// A transaction's identity while it is active: context + 1, 16 bits; activation, 24; nothing, 24.
class OwnerWord {
 public:
  static constexpr uint64_t kIndexMask = (uint64_t{1} << 24) - 1;
  static uint64_t activity(uint32_t context, uint64_t activation) {
    return static_cast<uint64_t>(context + 1) << 48 | (activation & kIndexMask) << 24;
  }
  static uint64_t activity_of(uint64_t word) { return word & ~kIndexMask; }
  static uint32_t context_of(uint64_t word) { return static_cast<uint32_t>(word >> 48) - 1; }
  static uint32_t index_of(uint64_t word) { return static_cast<uint32_t>(word & kIndexMask); }
};

// Where a transaction runs: a thread holds `lock` for as long as it may store for transactions
// here, so taking it with kOwnerDied proves that this thread's stores have ended.
struct alignas(64) Context {
  RobustLock lock;
  std::atomic<uint64_t> descriptor;  // address of the stable descriptor in use, 0: none yet
  std::atomic<uint64_t> active;      // OwnerWord::activity of the transaction, 0: none
  std::atomic<uint64_t> waits_for;   // header address of the object that it waits for, or 0
  std::atomic<uint64_t> activations;
  std::atomic<uint32_t> pid;
  std::atomic<uint32_t> releases;    // futex: raised when a transaction here ends
  std::atomic<uint32_t> waiters;     // somebody sleeps on `releases`
  uint32_t reserved;
  std::atomic<uint64_t> own_descriptor;  // one of the memory's own that stays with the context
  // The same for an isolated client's thread: the controller gives it to the thread's channel.
  std::atomic<uint64_t> channel_descriptor;
};
static_assert(sizeof(Context) == 128);

// What a page belongs to: the head of its run, for each of the run's pages.
struct PageInfo {
  std::atomic<uint64_t> head_and_class;  // page of the head | class << 32 | use << 40; 0: unused
  std::atomic<uint64_t> generation;      // the head's version
  std::atomic<uint64_t> realm;           // the head's owner
  uint64_t reserved;
};
static_assert(sizeof(PageInfo) == 32);

// Whose a stable node's memory is (node/): process, 32 bits; term, 29; closed, 1; seat, 2. 0: the
// memory belongs to no node, and any process runs transactions. Without a process: to nobody now.
class HolderWord {
 public:
  static constexpr uint64_t kClosed = 4;  // no transaction may begin
  static uint64_t of(uint32_t pid, uint64_t term, uint32_t seat) {
    return static_cast<uint64_t>(pid) << 32 | (term << 3 & 0xffff'ffff) | seat;
  }
  static uint32_t pid_of(uint64_t word) { return static_cast<uint32_t>(word >> 32); }
  static uint64_t term_of(uint64_t word) { return (word & 0xffff'ffff) >> 3; }
  static uint32_t seat_of(uint64_t word) { return static_cast<uint32_t>(word & 3); }
  // Whether a transaction of process `pid` may begin.
  static bool admits(uint64_t word, uint32_t pid) {
    return word == 0 || (pid_of(word) == pid && (word & kClosed) == 0);
  }
};

// One of the two processors of a stable node. The process that has the seat holds `lock` in a
// thread that runs for as long as it has it.
struct alignas(64) Seat {
  RobustLock lock;
  std::atomic<uint64_t> beat;        // CLOCK_MONOTONIC, ns: its last sign of life
  std::atomic<uint64_t> start_time;  // of pid, in ticks since boot
  std::atomic<uint32_t> pid;
  std::atomic<uint32_t> asks;        // for the memory
  uint64_t reserved[5];
};
static_assert(sizeof(Seat) == 128);

// The stable node's words (node/): only the memory's holder, by its node thread, or whoever holds
// the lock of its seat after it, changes `holder` while that names a process.
struct alignas(64) NodeWords {
  std::atomic<uint64_t> holder;  // HolderWord
  std::atomic<uint32_t> bell;    // futex: raised when `holder` changes or somebody asks
  Seat seats[2];                 // primary, backup
};

// Counted since the board was made.
struct Statistics {
  std::atomic<uint64_t> repairs;          // copies in a bank found bad and mended from the other
  std::atomic<uint64_t> losses;           // objects of which both copies were bad
  std::atomic<uint64_t> violations;       // accesses rejected
  std::atomic<uint64_t> recovered;        // transactions of dead threads brought to an end
};

// Mode kIsolated: the process that stores into the banks for all others.
struct ControllerWords {
  RobustLock lock;                  // held by the controller's thread
  std::atomic<uint32_t> bell;       // futex: raised when a request waits and it may be asleep
  std::atomic<uint32_t> asleep;
  std::atomic<uint32_t> never_sleeps;
  std::atomic<uint32_t> pid;
};

// Something happened to what waits here: ports, by their addresses (entities/).
struct Signal {
  std::atomic<uint32_t> raised;   // futex
  std::atomic<uint32_t> waiters;  // about: those that died waiting are counted for ever
};

struct Board {
  std::atomic<uint64_t> ready;       // kBoardReady once made; anything else: not yet
  std::atomic<uint64_t> incarnation; // random for each making
  Statistics statistics;
  std::atomic<uint64_t> frees[64];   // objects freed, by size class: where to look for room again
  Signal signals[kSignals];
  alignas(64) RobustLock page_lock;  // heads of the page table, page infos
  alignas(64) RobustLock boot_lock;  // the boot descriptor
  alignas(64) ControllerWords controller;
  alignas(64) Context contexts[kContexts];
  NodeWords node;
  // PageInfo[pages], owner words[bank size / 32] follow, each from a page boundary on.
};

// Programs that share a board must see the same one: any change of its layout raises the version.
inline constexpr uint64_t kBoardVersion = 2;
inline constexpr uint64_t kBoardReady =
    0x5942 + (kBoardVersion << 16) + (sizeof(Board) << 24) + (sizeof(PageInfo) << 56);

inline constexpr uint64_t page_infos_offset() { return whole_pages(sizeof(Board)) * kPageBytes; }
inline constexpr uint64_t owners_offset(uint64_t bank_bytes) {
  return page_infos_offset() +
         whole_pages(bank_bytes / kPageBytes * sizeof(PageInfo)) * kPageBytes;
}
inline constexpr uint64_t board_bytes(uint64_t bank_bytes) {
  return owners_offset(bank_bytes) +
         whole_pages(bank_bytes / sizeof(ObjectHeader) * sizeof(uint64_t)) * kPageBytes;
}
inline constexpr uint64_t memory_file_bytes(uint64_t bank_bytes) {
  return 2 * bank_bytes + board_bytes(bank_bytes);
}

}  // namespace auxin::stm
