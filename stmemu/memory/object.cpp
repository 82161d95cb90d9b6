// SPDX-License-Identifier: Apache-2.0
#include "stmemu/memory/object.h"

#include "stmemu/memory/judgement.h"
#include "stmemu/memory/page_table.h"

namespace auxin::stm {
namespace {

constexpr uint64_t kPageMask = 0xffff'ffff;

bool holds_objects(PageUse use) {
  return use == PageUse::kObjects || use == PageUse::kDescriptors;
}

// What the page infos say of the run around a page.
struct Run {
  uint64_t offset;
  uint64_t generation;
  uint64_t realm;
  uint8_t size_class;
  PageUse use;
};

bool run_around(const PhysicalMemory& memory, uint64_t offset, Run* run) {
  if (offset >= memory.bank_bytes()) return false;
  const PageInfo& info = memory.page_info(offset / kPageBytes);
  run->generation = info.generation.load(std::memory_order_acquire);
  run->realm = info.realm.load(std::memory_order_acquire);
  const uint64_t said = info.head_and_class.load(std::memory_order_acquire);
  run->offset = (said & kPageMask) * kPageBytes;
  run->size_class = static_cast<uint8_t>(said >> 32);
  run->use = static_cast<PageUse>(said >> 40);
  return holds_objects(run->use) &&
         (run->size_class == kLargeClass || run->size_class < memory.classes().count());
}

uint64_t large_capacity(const PhysicalMemory& memory, uint64_t run_offset) {
  PageHead head;
  if (!read_head(memory, run_offset / kPageBytes, &head)) return 0;
  const uint64_t bytes = uint64_t{head.pages} * kPageBytes;
  const uint64_t first = memory.classes().large_first_object();
  return bytes > first ? bytes - first : 0;
}

Place slot_place(const PhysicalMemory& memory, const Run& run, uint64_t slot) {
  const SizeClasses& classes = memory.classes();
  if (run.size_class == kLargeClass) {
    return {{run.offset, run.offset + classes.large_first_object()}, run.generation,
            large_capacity(memory, run.offset), run.realm, run.use, run.size_class};
  }
  const RunShape& shape = classes.shape(run.size_class);
  return {{run.offset + slot * sizeof(ObjectHeader),
           run.offset + shape.first_object + slot * shape.stride},
          run.generation, shape.stride, run.realm, run.use, run.size_class};
}

}  // namespace

bool locate_large(const PhysicalMemory& memory, uint64_t address, Place* place) {
  Run run;
  if (!run_around(memory, address, &run) || run.size_class != kLargeClass ||
      address - run.offset != memory.classes().large_first_object()) {
    return false;
  }
  *place = slot_place(memory, run, 0);
  return place->capacity > 0;
}

bool locate_header(const PhysicalMemory& memory, uint64_t header, Place* place) {
  Run run;
  if (header % sizeof(ObjectHeader) != 0 || !run_around(memory, header, &run)) return false;
  const uint64_t slot = (header - run.offset) / sizeof(ObjectHeader);
  if (header < run.offset || slot >= memory.classes().slots(run.size_class)) return false;
  *place = slot_place(memory, run, slot);
  return place->capacity > 0;
}

Place place_in_run(const PhysicalMemory& memory, uint64_t page, const PageHead& head,
                   uint32_t slot) {
  const Run run = {page * kPageBytes, head.version, head.owner, head.size_class,
                   static_cast<PageUse>(head.use)};
  return slot_place(memory, run, slot);
}

Soundness sound_object(PhysicalMemory& memory, const Place& place, ObjectHeader* header) {
  const uint64_t where = place_hash(memory.seed(), place.generation, place.header);
  return both_are_good(memory.banks(), where, place, header) ? Soundness::kSound
                                              : mend_object(memory, place, header);
}

Soundness mend_object(PhysicalMemory& memory, const Place& place, ObjectHeader* header) {
  Banks& banks = memory.banks();
  const bool good_a = good_copy(memory, banks.a, place, header);
  ObjectHeader other;
  const bool good_b = good_copy(memory, banks.b, place, &other);
  if (!good_a && !good_b) {
    memory.board().statistics.losses.fetch_add(1, std::memory_order_relaxed);
    return Soundness::kLost;
  }
  // Of two good copies that differ, one is stale: the other has the higher version.
  if (good_a && (!good_b || header->version >= other.version)) {
    copy_object(banks.a, banks.b, place, *header);
  } else {
    *header = other;
    copy_object(banks.b, banks.a, place, *header);
  }
  banks.fence();
  memory.board().statistics.repairs.fetch_add(1, std::memory_order_relaxed);
  return Soundness::kRepaired;
}

}  // namespace auxin::stm
