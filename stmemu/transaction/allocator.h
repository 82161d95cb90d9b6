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

// Whose objects a transaction may open: one memory object's (its address), or the memory's own (0).
using Realm = uint64_t;

class Allocator {
 public:
  explicit Allocator(PhysicalMemory& memory) : memory_(memory) {}

  // A free slot for `size_bytes`, its owner word set to `claim`. kTooLarge, kFull.
  Status find(uint64_t size_bytes, PageUse use, Realm realm, uint64_t claim, Place* place);

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

  bool claim_in_run(uint64_t page, uint8_t size_class, uint32_t from, uint64_t claim, Place* place,
                    uint32_t* next);
  bool search_runs(uint8_t size_class, PageUse use, Realm realm, uint64_t claim, Place* place);
  bool claim_slot(const Place& place, uint64_t claim);
  bool reclaim(uint64_t claim);

  PhysicalMemory& memory_;
  Cursor cursors_[kMaxClasses];
};

}  // namespace auxin::stm
