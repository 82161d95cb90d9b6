// SPDX-License-Identifier: Apache-2.0
#include "stmemu/transaction/allocator.h"

#include <vector>

#include "stmemu/transaction/contexts.h"

namespace auxin::stm {
namespace {

// By the state word alone; the whole header is judged once the slot is claimed.
bool looks_free(const PhysicalMemory& memory, uint64_t header) {
  ObjectHeader seen;
  seen.size_and_kind = memory.banks().a.word(header + offsetof(ObjectHeader, size_and_kind));
  return seen.state() == ObjectState::kFree;
}

}  // namespace

bool Allocator::claim_slot(const Place& place, uint64_t claim) {
  std::atomic<uint64_t>& owner = memory_.owner_word(place.header);
  uint64_t seen = owner.load(std::memory_order_acquire);
  if (seen != 0 && still_runs(memory_, seen)) return false;
  if (!owner.compare_exchange_strong(seen, claim, std::memory_order_acq_rel)) return false;
  // Ours from here on: is it still the slot that it was, and free?
  Place now;
  ObjectHeader header;
  if (locate(memory_, place.contents, &now) && now.generation == place.generation &&
      sound_object(memory_, now, &header) != Soundness::kLost && !header.live()) {
    return true;
  }
  owner.store(0, std::memory_order_release);
  return false;
}

bool Allocator::claim_in_run(uint64_t page, uint8_t size_class, uint32_t from, uint64_t claim,
                             Place* place, uint32_t* next) {
  const uint32_t slots = memory_.classes().slots(size_class);
  for (uint32_t slot = from; slot < slots; ++slot) {
    const uint64_t header = page * kPageBytes + slot * sizeof(ObjectHeader);
    if (!looks_free(memory_, header) || !locate_header(memory_, header, place)) continue;
    if (!claim_slot(*place, claim)) continue;
    *next = slot + 1;
    return true;
  }
  return false;
}

bool Allocator::search_runs(uint8_t size_class, PageUse use, Realm realm, uint64_t claim,
                            Place* place) {
  bool found = false;
  PageTable(memory_).walk([&](uint64_t page, const PageHead& head) {
    if (static_cast<PageUse>(head.use) != use || head.size_class != size_class ||
        head.owner != realm) {
      return true;
    }
    Cursor& cursor = cursors_[size_class];
    if (!claim_in_run(page, size_class, 0, claim, place, &cursor.slot)) return true;
    cursor.page = page;
    cursor.realm = realm;
    cursor.use = use;
    found = true;
    return false;
  });
  return found;
}

Status Allocator::find(uint64_t size_bytes, PageUse use, Realm realm, uint64_t claim,
                       Place* place) {
  const SizeClasses& classes = memory_.classes();
  const uint8_t size_class = classes.class_of(size_bytes);
  const bool large = size_class == kLargeClass;
  const uint64_t pages = large ? classes.large_pages(size_bytes) : classes.shape(size_class).pages;
  if (pages == 0 || pages > memory_.pages() - meta_pages(memory_.bank_bytes())) {
    return Status::kTooLarge;
  }
  if (!large) {
    Cursor& cursor = cursors_[size_class];
    if (cursor.realm != realm || cursor.use != use) cursor = {};
    // The run may have been given back meanwhile; then its slots are not where they were.
    if (cursor.page != 0 &&
        claim_in_run(cursor.page, size_class, cursor.slot, claim, place, &cursor.slot) &&
        place->size_class == size_class && place->realm == realm && place->use == use) {
      return Status::kOk;
    }
    const uint64_t frees =
        memory_.board().frees[size_class].load(std::memory_order_acquire);
    if (!cursor.searched || cursor.frees_seen != frees) {
      if (search_runs(size_class, use, realm, claim, place)) return Status::kOk;
      cursor.searched = true;
      cursor.frees_seen = frees;
    }
  }
  for (int attempt = 0; attempt < 2; ++attempt) {
    const uint64_t page = PageTable(memory_).make_run(use, size_class, pages, realm);
    if (page != 0) {
      uint32_t next = 0;
      if (!claim_in_run(page, size_class, 0, claim, place, &next)) continue;
      if (!large) {
        Cursor& cursor = cursors_[size_class];
        cursor.page = page;
        cursor.slot = next;
        cursor.realm = realm;
        cursor.use = use;
      }
      return Status::kOk;
    }
    // A last look for what others have freed, and for whole runs that are empty.
    if (!large && search_runs(size_class, use, realm, claim, place)) return Status::kOk;
    if (attempt > 0 || !reclaim(claim)) break;
  }
  return Status::kFull;
}

// Gives back every run of objects in which none lives. True if there was one.
bool Allocator::reclaim(uint64_t claim) {
  std::vector<uint64_t> empty;
  PageTable table(memory_);
  table.walk([&](uint64_t page, const PageHead& head) {
    if (static_cast<PageUse>(head.use) != PageUse::kObjects) return true;
    const uint32_t slots = memory_.classes().slots(head.size_class);
    for (uint32_t slot = 0; slot < slots; ++slot) {
      const uint64_t header = page * kPageBytes + slot * sizeof(ObjectHeader);
      if (!looks_free(memory_, header) ||
          memory_.owner_word(header).load(std::memory_order_relaxed) != 0) {
        return true;
      }
    }
    uint32_t claimed = 0;
    while (claimed < slots &&
           claim_slot(place_in_run(memory_, page, head, claimed), claim)) {
      ++claimed;
    }
    if (claimed == slots) {
      empty.push_back(page);
    } else {
      while (claimed-- > 0) {
        memory_.owner_word(page * kPageBytes + claimed * sizeof(ObjectHeader))
            .store(0, std::memory_order_release);
      }
    }
    return true;
  });
  for (const uint64_t page : empty) table.dissolve_run(page);
  return !empty.empty();
}

}  // namespace auxin::stm
