// SPDX-License-Identifier: Apache-2.0
//
// The stable node (paper 001, §2.1): one stable memory and two processors, the primary and the
// backup. The memory is one processor's alone. When that one dies or hangs, the memory is brought
// to a consistent state, and the other one is warned and given it.
//
//     using namespace auxin::stm;
//     StableNode node = StableNode::join("/dev/shm/accounts.stm", as_primary);
//     while (node.wait_active(1000)) serve(node.memory());
//
// A processor is a process. Transactions of the one that does not have the memory fail with
// Status::kStandby, and so do those of processes that have not joined. A primary that comes back
// asks for the memory, and the backup's node hands it over once the backup's running transactions
// have ended. Nodes are paired by two of them, in which two processes have opposite roles.
//
// Who has the memory, and how that changes, is a table in stmemu/node/README.md.
//
// Link with the CMake target auxin::stmemu, or `pkg-config --libs auxin-stmemu`. C++17.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "auxin/stm.h"

namespace auxin::stm {

enum class Role : uint8_t { kPrimary = 0, kBackup = 1 };
inline constexpr Role as_primary = Role::kPrimary;
inline constexpr Role as_backup = Role::kBackup;

enum class NodeState : uint8_t {
  kStandby,      // the memory is the other processor's, or nobody's yet
  kActive,       // it is this process's
  kHandingOver,  // it still is, but no transaction may begin any more
  kLeft,
};

enum class NodeChange : uint8_t {
  kBegun,       // the memory was nobody's, and is this process's now
  kPromoted,    // the process that had it died, or hung and was killed
  kInherited,   // the process that had it left
  kReturned,    // the backup handed it over to this process, the primary
  kHandedOver,  // this process, the backup, has handed it over: it is on standby now
};
const char* name_of(Role role);
const char* name_of(NodeState state);
const char* name_of(NodeChange change);

// What the node has just gone through.
struct NodeNotice {
  NodeChange change = NodeChange::kBegun;
  uint32_t other_process = 0;         // that had the memory, or has it now; 0: none
  bool other_hung = false;            // it had not beaten for the limit, and was killed
  uint64_t silence_us = 0;            // from its last sign of life to the discovery of its death
  uint64_t recovery_us = 0;           // from there to a consistent state
  uint64_t fence_us = 0;              // of that, waiting for threads of it that were still dying
  uint64_t transactions_undone = 0;   // that were running
  uint64_t transactions_redone = 0;   // that had committed, and were carried to their end
  uint64_t objects_lost = 0;          // found damaged in both banks meanwhile
};

enum class Beat : uint8_t {
  kByNode,         // the node's own thread beats: a hang is a process that does not run at all
  kByApplication,  // StableNode::beat(): a hang is an application that gets nowhere
};

struct NodeOptions {
  OpenMemory memory;
  Beat beat = Beat::kByNode;
  // A process that has the memory and does not beat for so long is killed; 0: never. It is counted
  // in the watcher's own running time, so a stall of the host kills nobody. Both processors should
  // be told the same.
  uint32_t hang_limit_ms = 1000;
  // How long transactions that run may take to end before a hand-over is put off, a departure or a
  // joining fails.
  uint32_t end_limit_ms = 1000;
  // How long a backup that has just joined leaves a memory that is nobody's to the primary.
  uint32_t grace_ms = 500;
  // The node's thread runs at a low real-time priority (1, 2) where the system lets it (root,
  // CAP_SYS_NICE, RLIMIT_RTPRIO), but not on_change: on a busy machine a death is else found, and
  // died, when the scheduler gets to it.
  bool prompt = true;
  // A primary that comes back asks for the memory at once; else with ask().
  bool asks_at_once = true;
  // Called by the node's thread after each change, the memory being given already. It may run
  // transactions, and should return soon: meanwhile nobody watches, and beats only beat(). It
  // must not throw, leave or destroy the node.
  std::function<void(const NodeNotice&)> on_change;
};

struct NodeReport {
  Role role = Role::kPrimary;
  NodeState state = NodeState::kLeft;
  uint32_t holder = 0;         // process that has the memory; 0: none
  uint32_t other_process = 0;  // in the other role; 0: none now
  uint64_t term = 0;           // how often the memory has been given to somebody
  uint64_t put_off = 0;        // hand-overs by this process that were put off (end_limit_ms)
};

// This process's part in a stable node. Any thread may use it.
class StableNode {
 public:
  // Opens the memory and takes a role. A primary that finds the memory nobody's, or a dead
  // process's, has it when this returns.
  // kRefused: the file can't be used, another process has the role, or this process has the other
  // one. kBusy: a process that does not belong to the node is in a transaction (end_limit_ms).
  static StableNode join(const std::string& path, Role role, NodeOptions options = {});

  StableNode();
  StableNode(StableNode&&) noexcept;
  StableNode& operator=(StableNode&&) noexcept;
  // Leaves; if that fails (leave), halts the process. In a fork of the process: nothing.
  ~StableNode();

  explicit operator bool() const { return thread_ != nullptr; }

  // Gives the role back, and the memory to the other processor if that is there. kBusy: a
  // transaction of this process does not end (end_limit_ms); nothing has changed then.
  void leave();

  // To run transactions in; usable after leave().
  const Memory& memory() const { return memory_; }
  bool active() const;
  // False: the time is over, or the node was left.
  bool wait_active(uint32_t timeout_ms) const;
  bool wait_standby(uint32_t timeout_ms) const;
  // The application's sign of life (Beat::kByApplication). One store.
  void beat();
  // The primary's, while it is on standby: asks for the memory.
  void ask();
  NodeReport report() const;

 private:
  class Thread;

  Memory memory_;
  std::unique_ptr<Thread> thread_;
};

}  // namespace auxin::stm
