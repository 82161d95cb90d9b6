// SPDX-License-Identifier: Apache-2.0
//
// The physical STM: one file with two banks and a board, mapped by every process that uses it
// (paper 001, §2.2). It knows the file and the mappings; what the pages hold is page_table.h's and
// object.h's business, who may change them transaction/'s.
//
// The file is made whole under a temporary name and then linked into place. Its mode is 0600.
// Processes that have it attached hold a shared lock on the file, which ends with them; whoever
// attaches and finds itself alone makes the board anew and recovers (recovery.h).
//
// Thread safety: create and attach, none; an attached memory may be used by any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "auxin/stm_types.h"
#include "stmemu/memory/bank.h"
#include "stmemu/memory/board.h"
#include "stmemu/memory/format.h"
#include "stmemu/memory/new_file.h"
#include "stmemu/memory/size_class.h"
#include "stmemu/protection/window.h"
#include "stmemu/result.h"
#include "stmemu/robust_lock.h"

namespace auxin::stm {

class Connection;

struct CreateOptions {
  uint64_t bank_size_bytes = uint64_t{64} << 20;  // of each bank; rounded up to whole pages
  Mode mode = Mode::kChecked;
  Durability durability = Durability::kProcess;
  uint32_t user_version = 0;                      // the caller's own
  uint64_t plain_size_bytes = 0;                  // of the plain area; rounded up to whole pages
};

// What the file says of itself, before anything is mapped.
struct Identity {
  Superblock superblock;       // of the first bank that has a good one
  bool good[2] = {};           // whether each bank's superblock is good
  uint64_t file_size_bytes = 0;
  bool truncated = false;      // the file ends before it should, and bank A is whole
};

struct MapOptions {
  bool any_machine = false;   // accept a file that another machine made
  bool plain_guards = false;  // kWindow: mprotect and system calls, as where nothing faster is
};

class PhysicalMemory {
 public:
  PhysicalMemory();
  PhysicalMemory(const PhysicalMemory&) = delete;
  PhysicalMemory& operator=(const PhysicalMemory&) = delete;
  ~PhysicalMemory();

  // What stands in a new file before it gets its name.
  struct Fill {
    // The banks' first content, over an empty page table; returns the catalogue's address.
    std::function<uint64_t(PhysicalMemory&)> banks;
    // The plain area's, from this offset of the file on; may be missing: zeros.
    std::function<Result<bool>(NewFile&, uint64_t offset)> plain;
  };
  // Makes the file. Errors name the path and say what to do.
  static Result<bool> create(const std::string& path, const CreateOptions& options,
                             const Fill& fill);
  // Storage that an empty memory takes.
  static uint64_t fixed_bytes(uint64_t bank_bytes);
  // Reads and judges the superblocks; refuses a file of another kind, version, machine or owner.
  // `any_machine`: accept one that another machine made.
  static Result<Identity> identify(const std::string& path, bool any_machine = false);

  // kRead: nothing is locked, stored or recovered. kClient: of an isolated memory, whose controller
  // is connected to; only the board is mapped for writing.
  enum class Access { kUse, kRead, kClient };
  // Maps `path`. kUse: the caller must now recover if alone(), then call share().
  Result<bool> map(const std::string& path, Access access, const MapOptions& options = {});
  // A memory without a file, over memory of the caller's (tests of recovery): banks and board as in
  // the file. Always alone.
  void map_given(char* whole, const Superblock& superblock);

  // --- attaching (kUse) ---
  bool alone() const { return alone_; }
  // Isolated: whether clients of an earlier controller are still there, with what the board says.
  bool has_clients() const { return has_clients_; }
  bool board_is_ready() const {
    return board_->ready.load(std::memory_order_acquire) == kBoardReady;
  }
  // Of a board that somebody uses: made by a library whose board is laid out in another way.
  bool board_is_foreign() const {
    return board_->ready.load(std::memory_order_acquire) != 0 && !board_is_ready();
  }
  // Empties the board. Only when alone.
  void make_board();
  // Makes the file one of this machine (kUse, alone).
  void adopt();
  // The board can be used: others may come.
  void share();

  // --- parts ---
  Banks& banks() { return banks_; }
  const Banks& banks() const { return banks_; }
  Board& board() const { return *board_; }
  // With kRead, this process's own (PageTable::describe_all fills them), else the board's.
  PageInfo& page_info(uint64_t page) const { return page_infos_[page]; }
  std::atomic<uint64_t>& owner_word(uint64_t header_offset) const {
    return owners_[header_offset / sizeof(ObjectHeader)];
  }
  const Superblock& superblock() const { return superblock_; }
  const Identity& identity() const { return identity_; }
  uint64_t seed() const { return superblock_.seed; }
  uint64_t bank_bytes() const { return superblock_.bank_size_bytes; }
  uint64_t pages() const { return bank_bytes() / kPageBytes; }
  Mode mode() const { return static_cast<Mode>(superblock_.mode); }
  Durability durability() const { return static_cast<Durability>(superblock_.durability); }
  const SizeClasses& classes() const { return *size_classes_; }
  // Whether any process has the file attached now (kRead).
  bool in_use() const { return in_use_; }
  const std::string& path() const { return path_; }
  int fd() const { return fd_; }

  // Where a program's pointers to objects point: bank A, or its window.
  char* view() const { return view_; }
  bool views(const void* pointer) const {
    return static_cast<uint64_t>(static_cast<const char*>(pointer) - view_) < bank_bytes();
  }

  // Mode kWindow: which pages of the view can be touched; else null.
  Window* window() const { return window_.get(); }
  // Isolated client: its way to the controller; else null.
  Connection* connection() const { return connection_.get(); }
  // The banks' mapping under a protection key (kWindow); null: stores are system calls.
  const char* guarded() const { return guarded_; }
  // The whole file as it is mapped: banks and board.
  const char* mapped() const { return base_; }

  // Storage for a run in both banks, and for the owner words of the headers at its beginning.
  // False: no space.
  bool reserve(uint64_t offset, uint64_t size_bytes, uint64_t headers_bytes);

 private:
  Result<bool> lock_presence();
  Result<bool> map_guarded(char* whole, bool plain);
  Result<bool> map_as_client();
  void format(const std::function<uint64_t(PhysicalMemory&)>& fill);

  Banks banks_;
  Board* board_ = nullptr;
  PageInfo* page_infos_ = nullptr;
  std::atomic<uint64_t>* owners_ = nullptr;
  char* view_ = nullptr;
  Superblock superblock_ = {};
  Identity identity_;
  std::string path_;
  std::unique_ptr<Window> window_;
  std::unique_ptr<Connection> connection_;
  char* base_ = nullptr;            // of the mapping of the whole file
  char* guarded_ = nullptr;         // of the banks' mapping under the protection key
  uint64_t mapped_bytes_ = 0;
  std::unique_ptr<PageInfo[]> own_page_infos_;
  int fd_ = -1;
  bool alone_ = false;
  bool in_use_ = false;
  bool has_clients_ = false;

  static const SizeClasses classes_[2];  // [window mode]
  const SizeClasses* size_classes_ = &classes_[0];
};

}  // namespace auxin::stm
