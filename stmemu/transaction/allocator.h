// SPDX-License-Identifier: Apache-2.0
//
// Where a new object goes: a free slot of a run of its size class, or a run of its own.
//
// Which slots are free is said by their headers, in both banks, and by nothing else; an allocation
// is a change of one header, made and undone like any other change of an object. This class only
// finds a slot and claims it (activation.h: the owner word), so nothing here needs recovery: a
// claim of a transaction that has ended is void, a run without live objects is given back when room
// is short.
//
// Thread safety: one activation's own. Takes the page lock for a moment when it makes a run.
#pragma once

#include "auxin/stm_types.h"
#include "stmemu/memory/object.h"
#include "stmemu/memory/page_table.h"

namespace auxin::stm {

class Connection;
struct Channel;

// Whose objects a transaction may open: one memory object's (memory/realm.h), or the memory's own
// (0).
using Realm = uint64_t;

// Sees to it, while there is room, that a block of intents is free: a transaction of many objects
// needs one when the memory may be full, be it only to free them. Takes the page lock.
void set_intent_block_aside(PhysicalMemory& memory);

class Allocator {
 public:
  explicit Allocator(PhysicalMemory& memory) : memory_(memory) {}

  // A free slot for `size_bytes`, its owner word set to `claim`. kTooLarge, kFull.
  Status find(uint64_t size_bytes, PageUse use, Realm realm, uint64_t claim, Place* place) {
    const Status status = find_any(size_bytes, use, realm, claim, place);
    if (use == PageUse::kDescriptors && status == Status::kOk) keep_aside(*place);
    return status;
  }

  // Whether the last find() failed because the realm has as many pages as it may have.
  bool over_quota() const { return over_quota_; }

  // Gives back every run of objects in which none lives, or whose realm is dead. True if there was
  // one.
  bool reclaim(uint64_t claim);

  // Isolated client: runs are made by the controller, asked through this channel.
  void ask(Connection* connection, Channel* channel) {
    connection_ = connection;
    channel_ = channel;
  }

 private:
  // Where room was found last, for each size class.
  struct Cursor {
    uint64_t page = 0;         // of a run, 0: none
    uint32_t slot = 0;         // the next to look at
    Realm realm = 0;
    PageUse use = PageUse::kFree;
    uint64_t frees_seen = 0;   // the board's count when all runs were last searched in vain
    bool searched = false;
  };

  struct Wanted {
    uint64_t size_bytes;
    uint64_t claim;
    Realm realm;
    PageUse use;
    uint8_t size_class;
  };

  Status find_any(uint64_t size_bytes, PageUse use, Realm realm, uint64_t claim, Place* place);
  void keep_aside(const Place& taken);
  bool claim_in_run(uint64_t page, const Wanted& wanted, uint32_t from, Place* place,
                    uint32_t* next);
  bool search_runs(const Wanted& wanted, Place* place);
  bool claim_slot(const Place& place, uint64_t claim, bool free_only = true);
  bool is_usable(const Place& place, ObjectHeader* header);
  uint64_t make_run(PageUse use, uint8_t size_class, uint64_t pages, Realm realm);

  PhysicalMemory& memory_;
  Connection* connection_ = nullptr;
  Channel* channel_ = nullptr;
  Cursor& cursor_of(Realm realm, uint8_t size_class) { return cursors_[realm != 0][size_class]; }

  Cursor cursors_[2][kMaxClasses];  // in realm 0, and in any other
  bool over_quota_ = false;
};

}  // namespace auxin::stm
