// SPDX-License-Identifier: Apache-2.0
#include "stmemu/transaction/allocator.h"

#include <vector>

#include "stmemu/isolated/connection.h"
#include "stmemu/memory/realm.h"
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

void set_intent_block_aside(PhysicalMemory& memory) {
  const uint8_t size_class = memory.classes().class_of(kIntentBlockBytes);
  const RunShape& shape = memory.classes().shape(size_class);
  bool is_one_free = false;
  PageTable table(memory);
  table.walk([&](uint64_t page, const PageHead& head) {
    if (static_cast<PageUse>(head.use) != PageUse::kDescriptors || head.size_class != size_class) {
      return true;
    }
    for (uint32_t slot = 0; slot < shape.slots && !is_one_free; ++slot) {
      const uint64_t header = page * kPageBytes + slot * sizeof(ObjectHeader);
      const uint64_t owner = memory.owner_word(header).load(std::memory_order_acquire);
      is_one_free = looks_free(memory, header) && (owner == 0 || !still_runs(memory, owner));
    }
    return !is_one_free;
  });
  if (!is_one_free) table.make_run(PageUse::kDescriptors, size_class, shape.pages, 0);
}

// (An isolated client's blocks are its controller's business.)
void Allocator::keep_aside(const Place& taken) {
  if (connection_ == nullptr &&
      taken.size_class == memory_.classes().class_of(kIntentBlockBytes)) {
    set_intent_block_aside(memory_);
  }
}

uint64_t Allocator::make_run(PageUse use, uint8_t size_class, uint64_t pages, Realm realm) {
  if (connection_ == nullptr) return PageTable(memory_).make_run(use, size_class, pages, realm);
  channel_->first = {pages, realm, static_cast<uint64_t>(use) | uint64_t{size_class} << 8, 0};
  uint64_t page = 0;
  const Status status = connection_->ask(*channel_, Request::kMakeRun, &page);
  return status == Status::kOk && page < memory_.pages() ? page : 0;
}

// A damaged slot is mended, or, where that is not ours to do, left alone.
bool Allocator::is_usable(const Place& place, ObjectHeader* header) {
  return connection_ == nullptr ? sound_object(memory_, place, header) != Soundness::kLost
                                : good_copy(memory_, memory_.banks().a, place, header);
}

bool Allocator::claim_slot(const Place& place, uint64_t claim, bool free_only) {
  std::atomic<uint64_t>& owner = memory_.owner_word(place.header);
  uint64_t seen = owner.load(std::memory_order_acquire);
  if (seen != 0 && still_runs(memory_, seen)) return false;
  if (!owner.compare_exchange_strong(seen, claim, std::memory_order_acq_rel)) return false;
  // Ours from here on: is it still the slot that it was, and free?
  Place now;
  ObjectHeader header;
  if (locate(memory_, place.contents, &now) && now.generation == place.generation &&
      (!free_only || (is_usable(now, &header) && !header.live()))) {
    return true;
  }
  // Given back unless it is somebody else's by now: a run that is made anew forgets its claims.
  uint64_t ours = claim;
  owner.compare_exchange_strong(ours, 0, std::memory_order_acq_rel);
  return false;
}

bool Allocator::claim_in_run(uint64_t page, const Wanted& wanted, uint32_t from, Place* place,
                             uint32_t* next) {
  const uint32_t slots = memory_.classes().slots(wanted.size_class);
  for (uint32_t slot = from; slot < slots; ++slot) {
    const uint64_t header = page * kPageBytes + slot * sizeof(ObjectHeader);
    if (!looks_free(memory_, header) || !locate_header(memory_, header, place)) continue;
    // The run may have been given back meanwhile, and another one be here.
    if (place->size_class != wanted.size_class || place->use != wanted.use ||
        place->realm != wanted.realm || place->capacity < wanted.size_bytes) {
      return false;
    }
    if (!claim_slot(*place, wanted.claim)) continue;
    *next = slot + 1;
    return true;
  }
  return false;
}

bool Allocator::search_runs(const Wanted& wanted, Place* place) {
  bool found = false;
  PageTable(memory_).walk([&](uint64_t page, const PageHead& head) {
    if (static_cast<PageUse>(head.use) != wanted.use || head.size_class != wanted.size_class ||
        head.owner != wanted.realm) {
      return true;
    }
    Cursor& cursor = cursor_of(wanted.realm, wanted.size_class);
    if (!claim_in_run(page, wanted, 0, place, &cursor.slot)) return true;
    cursor.page = page;
    cursor.realm = wanted.realm;
    cursor.use = wanted.use;
    found = true;
    return false;
  });
  return found;
}

Status Allocator::find_any(uint64_t size_bytes, PageUse use, Realm realm, uint64_t claim,
                           Place* place) {
  const SizeClasses& classes = memory_.classes();
  const uint8_t size_class = classes.class_of(size_bytes);
  const bool large = size_class == kLargeClass;
  const uint64_t pages = large ? classes.large_pages(size_bytes) : classes.shape(size_class).pages;
  if (pages == 0 || pages > memory_.pages() - meta_pages(memory_.bank_bytes())) {
    return Status::kTooLarge;
  }
  const Wanted wanted = {size_bytes, claim, realm, use, size_class};
  if (!large) {
    Cursor& cursor = cursor_of(realm, size_class);
    if (cursor.realm != realm || cursor.use != use) cursor = {};
    if (cursor.page != 0 &&
        claim_in_run(cursor.page, wanted, cursor.slot, place, &cursor.slot)) {
      return Status::kOk;
    }
    const uint64_t frees =
        memory_.board().frees[size_class].load(std::memory_order_acquire);
    if (!cursor.searched || cursor.frees_seen != frees) {
      if (search_runs(wanted, place)) return Status::kOk;
      cursor.searched = true;
      cursor.frees_seen = frees;
    }
  }
  for (int attempt = 0; attempt < 2; ++attempt) {
    const uint64_t page = make_run(use, size_class, pages, realm);
    if (page != 0) {
      uint32_t next = 0;
      if (!claim_in_run(page, wanted, 0, place, &next)) continue;
      if (!large) {
        Cursor& cursor = cursor_of(realm, size_class);
        cursor.page = page;
        cursor.slot = next;
        cursor.realm = realm;
        cursor.use = use;
      }
      return Status::kOk;
    }
    // A last look for what others have freed, and for whole runs that are empty.
    if (!large && search_runs(wanted, place)) return Status::kOk;
    if (attempt > 0 || !reclaim(claim)) break;
  }
  MemoryObjectRecord record;
  over_quota_ = realm != 0 && realm_lives(memory_, realm, &record) &&
                PageTable(memory_).pages_of(realm) + pages > record.quota_pages;
  return Status::kFull;
}

bool Allocator::reclaim(uint64_t claim) {
  if (connection_ != nullptr) {
    uint64_t reclaimed = 0;
    return connection_->ask(*channel_, Request::kReclaim, &reclaimed) == Status::kOk &&
           reclaimed != 0;
  }
  std::vector<uint64_t> empty;
  PageTable table(memory_);
  table.walk([&](uint64_t page, const PageHead& head) {
    if (static_cast<PageUse>(head.use) != PageUse::kObjects) return true;
    const uint32_t slots = memory_.classes().slots(head.size_class);
    MemoryObjectRecord record;
    const bool dead = head.owner != 0 && !realm_lives(memory_, head.owner, &record);
    for (uint32_t slot = 0; slot < slots && !dead; ++slot) {
      const uint64_t header = page * kPageBytes + slot * sizeof(ObjectHeader);
      const uint64_t owner = memory_.owner_word(header).load(std::memory_order_relaxed);
      if (!looks_free(memory_, header) || (owner != 0 && still_runs(memory_, owner))) return true;
    }
    uint32_t claimed = 0;
    while (claimed < slots &&
           claim_slot(place_in_run(memory_, page, head, claimed), claim, !dead)) {
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
