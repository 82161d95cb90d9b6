// SPDX-License-Identifier: Apache-2.0
//
// Stable objects as they lie in the banks: where, and whether both copies are good.
//
// An address of an object is the offset of its first byte in either bank. Its header stands at the
// beginning of the run of pages that the object is in (size_class.h).
#pragma once

#include "stmemu/memory/physical_memory.h"

namespace auxin::stm {

// Where an object's two parts are.
struct Spot {
  uint64_t header;    // offset of the header
  uint64_t contents;  // offset of the first byte: the object's address
};

struct Place : Spot {
  uint64_t generation;  // of the run
  uint64_t capacity;    // bytes that the object can have
  uint64_t realm;       // the memory object that the run belongs to, 0: none
  PageUse use;
  uint8_t size_class;
};

// The place of the object whose first byte is at `address`; of the slot, if no object is there.
// False: no object can begin there.
inline bool locate(const PhysicalMemory& memory, uint64_t address, Place* place);
// The same by the header's offset.
bool locate_header(const PhysicalMemory& memory, uint64_t header, Place* place);
// Every slot of a run, in order; `slot` < classes().slots(size_class).
Place place_in_run(const PhysicalMemory& memory, uint64_t page, const PageHead& head,
                   uint32_t slot);

// Whether the copy in `bank` is good; `header` gets it.
inline bool good_copy(const PhysicalMemory& memory, const Bank& bank, const Place& place,
                      ObjectHeader* header) {
  memcpy(header, bank.at(place.header), sizeof(*header));
  if (header->state() != ObjectState::kFree && header->state() != ObjectState::kLive) return false;
  if (header->size_bytes() > place.capacity) return false;
  return header->checksum == object_checksum(memory.seed(), place.generation, place.header,
                                             *header, bank.at(place.contents));
}

enum class Soundness {
  kSound,     // both copies are good and equal
  kRepaired,  // one was not; it has been mended from the other
  kLost,      // neither is good
};
// Judges both copies of an object at rest, mends, and gives the header. The caller owns the object.
Soundness sound_object(PhysicalMemory& memory, const Place& place, ObjectHeader* header);

template <typename AnyBank>
inline void store_header(AnyBank& bank, const Spot& place, const ObjectHeader& header) {
  bank.template store_words<4>(place.header, &header.checksum);
}

// Writes contents (where they count) and header of `from`'s copy to `to`.
template <typename AnyBank>
inline void copy_object(const AnyBank& from, AnyBank& to, const Spot& place,
                        const ObjectHeader& header) {
  if (contents_count(header)) {
    to.store(place.contents, from.at(place.contents), whole_words(header.size_bytes()));
  }
  store_header(to, place, header);
}

// What sound_object does once the two copies are not both good and equal.
[[gnu::cold]] Soundness mend_object(PhysicalMemory& memory, const Place& place,
                                    ObjectHeader* header);

// --- in line, for those who open an object ---

[[gnu::cold]] bool locate_large(const PhysicalMemory& memory, uint64_t address, Place* place);

inline bool locate(const PhysicalMemory& memory, uint64_t address, Place* place) {
  if (address >= memory.bank_bytes()) return false;
  const PageInfo& info = memory.page_info(address / kPageBytes);
  place->generation = info.generation.load(std::memory_order_acquire);
  place->realm = info.realm.load(std::memory_order_acquire);
  const uint64_t said = info.head_and_class.load(std::memory_order_acquire);
  place->use = static_cast<PageUse>(said >> 40);
  place->size_class = static_cast<uint8_t>(said >> 32);
  if (place->use != PageUse::kObjects && place->use != PageUse::kDescriptors) return false;
  const SizeClasses& classes = memory.classes();
  if (__builtin_expect(place->size_class >= classes.count(), 0)) {
    Place large;  // so that `place` itself need not have an address
    if (!locate_large(memory, address, &large)) return false;
    *place = large;
    return true;
  }
  const RunShape& shape = classes.shape(place->size_class);
  const uint64_t run = (said & 0xffff'ffff) * kPageBytes;
  const uint64_t beyond = address - run - shape.first_object;  // huge if it lies before
  const uint64_t slot = beyond * shape.reciprocal >> 32;
  if (beyond >= uint64_t{shape.slots} * shape.stride || slot * shape.stride != beyond) {
    return false;
  }
  place->header = run + slot * sizeof(ObjectHeader);
  place->contents = address;
  place->capacity = shape.stride;
  return true;
}

}  // namespace auxin::stm
