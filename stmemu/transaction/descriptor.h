// SPDX-License-Identifier: Apache-2.0
//
// The descriptor of a transaction as it lies in the banks (paper 001, §2.2.2: "a transaction is
// identified by a descriptor stored itself in the STM"): a state word, and the list of intents,
// which names every object that the transaction may have changed. The list goes on in blocks of its
// own when it is long; a descriptor keeps its blocks.
//
// The address of a descriptor is the offset of its state word. Every word in it checks itself, is
// written to both banks, and is believed if either copy is good.
#pragma once

#include <functional>
#include <vector>

#include "stmemu/memory/object.h"
#include "stmemu/memory/physical_memory.h"

namespace auxin::stm {

// An idle descriptor with serial 1, in both banks. Nobody may know it yet.
void format_descriptor(PhysicalMemory& memory, uint64_t descriptor);
// A block of intents without any, that belongs to `descriptor`.
void format_intent_block(PhysicalMemory& memory, uint64_t block, uint64_t descriptor);

// Whether a live descriptor stands there, in either bank: a transaction that was cut off may have
// been making or freeing it, perhaps the one that runs on it. Fills `header` if so.
bool is_live_descriptor(const PhysicalMemory& memory, const Place& place, ObjectHeader* header);
// The same of an address that may be anything.
bool is_live_descriptor(const PhysicalMemory& memory, uint64_t address, ObjectHeader* header);

// The later of the states in the two banks. False: neither is good.
bool read_state(PhysicalMemory& memory, uint64_t descriptor, DescriptorState* state);
template <typename AnyBanks>
inline void store_both(AnyBanks& banks, uint64_t where, uint64_t word) {
  banks.a.store_word(where, word);
  banks.b.store_word(where, word);
}
inline void store_both(PhysicalMemory& memory, uint64_t where, uint64_t word) {
  store_both(memory.banks(), where, word);
}
inline void store_state(PhysicalMemory& memory, uint64_t descriptor, DescriptorState state) {
  store_both(memory, descriptor, pack_state(memory.seed(), descriptor, state));
}

// Where word `index` of the intents stands, given the blocks after the first part.
inline uint64_t intent_offset(uint64_t descriptor, const std::vector<uint64_t>& blocks,
                              uint64_t index) {
  if (index < kDescriptorIntents) return descriptor + kIntentsOffset + 8 * index;
  const uint64_t beyond = index - kDescriptorIntents;
  return blocks[beyond / kBlockIntents] + kIntentsOffset + 8 * (beyond % kBlockIntents);
}
inline uint64_t intents_room(size_t blocks) { return kDescriptorIntents + blocks * kBlockIntents; }
template <typename AnyBanks>
inline void store_intent(AnyBanks& banks, uint64_t seed, uint64_t where, uint64_t serial,
                         Intent intent) {
  store_both(banks, where, pack_intent(seed, where, serial, intent));
}
inline void store_intent(PhysicalMemory& memory, uint64_t where, uint64_t serial, Intent intent) {
  store_intent(memory.banks(), memory.seed(), where, serial, intent);
}

// The block of `descriptor` that `where` (a link word of its own or of a block) leads to; 0: none.
// A block whose making was cut short, or that has become another's, is none.
uint64_t read_link(PhysicalMemory& memory, uint64_t descriptor, uint64_t where);
void store_link(PhysicalMemory& memory, uint64_t where, uint64_t block_header);
inline uint64_t link_of_descriptor(uint64_t descriptor) { return descriptor + 8; }
inline uint64_t link_of_block(uint64_t block) { return block; }

// The blocks of a descriptor, by the addresses of their contents.
std::vector<uint64_t> read_blocks(PhysicalMemory& memory, uint64_t descriptor);

// Calls `each` for every intent of `serial`, in the order in which they were written.
void read_intents(PhysicalMemory& memory, uint64_t descriptor, uint64_t serial,
                  const std::function<void(const Intent&)>& each);

// How many of a descriptor's words, and its blocks', differ between the banks.
uint64_t differing_words(PhysicalMemory& memory, uint64_t descriptor);

// Makes the two copies of a descriptor equal whose transaction has no effects any more. Returns how
// many words were damaged; `at_rest`: no transaction was in flight, so any that differ are. The
// state must be readable.
uint64_t mend_descriptor(PhysicalMemory& memory, uint64_t descriptor, bool at_rest);

}  // namespace auxin::stm
