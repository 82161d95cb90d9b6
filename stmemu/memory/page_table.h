// SPDX-License-Identifier: Apache-2.0
//
// The page table: which run of pages is used for what (the physical STM's page allocation, paper
// 001, §3.2.2).
//
// The idea. Runs follow one another without gaps from page 0 on; each begins with a head, and only
// heads that are reached by this walk mean something. Every change is one head: a run is split by
// first writing the head of its rear part, which nobody reaches yet, and then shortening the front;
// two neighbours are joined by lengthening the first. One head is written like one object: bank A,
// fence, bank B; a mark stands for its checksum while it is half written. So a death at any store
// leaves the table before or after the change, and at most one head differs between the banks,
// which the next walk makes equal without taking it for damage.
//
// The table is not part of a transaction: an object is allocated in a run that exists already, and
// a run without live objects can be given back at any time.
//
// Every change is made under the board's page lock.
#pragma once

#include <functional>
#include <string>

#include "stmemu/memory/physical_memory.h"

namespace auxin::stm {

// The better copy of a head, after the other has been made equal. `repaired`: it was damaged (not
// just left behind by a crash). False: neither is good.
bool sound_head(PhysicalMemory& memory, uint64_t page, PageHead* head, bool* repaired);
// Whether a copy that differs from the better one is what a death leaves behind, not damage: an
// older head, or one that was being written.
bool is_overtaken_head(const PhysicalMemory& memory, const Bank& bank, uint64_t page);
// The better copy, without mending.
bool read_head(const PhysicalMemory& memory, uint64_t page, PageHead* head);

// Writes a head to both banks.
void store_head(PhysicalMemory& memory, uint64_t page, PageHead head);

class PageTable {
 public:
  explicit PageTable(PhysicalMemory& memory) : memory_(memory) {}

  // An empty table: meta pages, and one free run.
  void format();
  // Walks all heads, mends them, and makes the board's page infos. What is lost beyond mending is
  // skipped up to the next good head. Returns how many were mended and lost.
  struct Walked {
    uint64_t repaired = 0;
    uint64_t lost_pages = 0;
    uint64_t first_lost_page = 0;
  };
  Walked rebuild();

  // Makes the page infos without mending anything.
  void describe_all();

  // Calls `each(page, head)` for every run, as the heads are now; without the lock, so only a
  // snapshot if others change it. False from `each` ends the walk.
  void walk(const std::function<bool(uint64_t page, const PageHead& head)>& each) const;

  // A run for objects: headers free, version 0. Takes the page lock. 0: no room (page 0 is never
  // an object's); or `owner` is a realm (realm.h) that is dead or would have more than its quota.
  uint64_t make_run(PageUse use, uint8_t size_class, uint64_t pages, uint64_t owner);
  // Gives a run back and joins it with free neighbours behind it. The caller owns every slot of it.
  void dissolve_run(uint64_t page);

  uint64_t pages_of(uint64_t owner) const;
  uint64_t free_pages() const;
  uint64_t largest_free_run() const;

 private:
  class Lock;

  void describe(uint64_t page, const PageHead& head);
  uint64_t find_free(uint64_t pages);
  void format_headers(uint64_t page, const PageHead& head);

  PhysicalMemory& memory_;
};

}  // namespace auxin::stm
