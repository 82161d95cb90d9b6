// SPDX-License-Identifier: Apache-2.0
#include "stmemu/memory/realm.h"

#include <sched.h>

#include "stmemu/memory/page_table.h"

namespace auxin::stm {
namespace {

// Bank B holds what is committed until a commit is certain, and then differs from it only while it
// is being copied; so a good copy there is the last committed one, and a bad one is soon good.
constexpr int kLooks = 2000;
constexpr int kLooksBeforeYielding = 200;

template <typename Take>
Committed look(const PhysicalMemory& memory, uint64_t address, ObjectKind kind, uint32_t type,
               Take take) {
  const Bank& bank = memory.banks().b;
  for (int looks = 0; looks < kLooks; ++looks) {
    Place place;
    if (!locate(memory, address, &place) || place.use != PageUse::kObjects || place.realm != 0) {
      return Committed::kAbsent;
    }
    ObjectHeader header;
    memcpy(&header, bank.at(place.header), sizeof(header));
    const bool is_one =
        header.live() && header.kind() == kind && header.type() == type &&
        header.size_bytes() <= place.capacity;
    const char* contents = is_one ? take(bank.at(address), header.size_bytes()) : nullptr;
    // What was taken is judged, not what stands there by now.
    ObjectHeader again;
    memcpy(&again, bank.at(place.header), sizeof(again));
    const bool same = memcmp(&header, &again, sizeof(header)) == 0;
    if (same && !is_one) {
      // Not one; or half a header, or a place that has just changed: those pass.
      if (good_copy(memory, bank, place, &again) || looks > kLooksBeforeYielding) {
        return Committed::kAbsent;
      }
    } else if (same && contents == nullptr) {
      return Committed::kAbsent;  // of another size
    } else if (same && header.checksum == object_checksum(memory.seed(), place.generation,
                                                          place.header, header, contents)) {
      return Committed::kFound;
    }
    if (looks < kLooksBeforeYielding) {
      __builtin_ia32_pause();
    } else {
      sched_yield();
    }
  }
  return Committed::kUnsettled;
}

}  // namespace

Committed read_committed(const PhysicalMemory& memory, uint64_t address, ObjectKind kind,
                         uint32_t type, uint64_t longest, std::vector<char>* contents) {
  uint64_t size = 0;
  const Committed found =
      look(memory, address, kind, type, [&](const char* from, uint64_t size_bytes) -> const char* {
        if (size_bytes > longest) return nullptr;
        size = size_bytes;
        contents->assign(from, from + whole_words(size_bytes));
        return contents->data();
      });
  if (found == Committed::kFound) contents->resize(size);
  return found;
}

Committed read_committed(const PhysicalMemory& memory, uint64_t address, ObjectKind kind,
                         uint32_t type, void* to, uint64_t size_bytes) {
  return look(memory, address, kind, type,
              [&](const char* from, uint64_t has_bytes) -> const char* {
                if (has_bytes != size_bytes) return nullptr;
                memcpy(to, from, size_bytes);
                return static_cast<const char*>(to);
              });
}

bool realm_lives(const PhysicalMemory& memory, uint64_t realm, MemoryObjectRecord* record) {
  *record = {};
  switch (read_committed(memory, record_address(realm), ObjectKind::kMemoryObject, 0, record,
                         sizeof(*record))) {
    case Committed::kFound:
      return record->reference == realm;
    case Committed::kAbsent:
      return false;
    case Committed::kUnsettled:
      break;
  }
  *record = {};
  return true;
}

void give_dead_realms_back(PhysicalMemory& memory) {
  PageTable table(memory);
  std::vector<uint64_t> dead;
  table.walk([&](uint64_t page, const PageHead& head) {
    MemoryObjectRecord record;
    if (static_cast<PageUse>(head.use) == PageUse::kObjects && head.owner != 0 &&
        !realm_lives(memory, head.owner, &record)) {
      dead.push_back(page);
    }
    return true;
  });
  for (const uint64_t page : dead) table.dissolve_run(page);
}

}  // namespace auxin::stm
