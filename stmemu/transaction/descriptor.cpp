// SPDX-License-Identifier: Apache-2.0
#include "stmemu/transaction/descriptor.h"

#include "stmemu/check.h"
#include "stmemu/memory/object.h"

namespace auxin::stm {
namespace {

// Links stand in words like intents', with a serial that no transaction has.
constexpr uint64_t kLinkSerial = (uint64_t{1} << 40) - 1;
constexpr uint64_t kFirstSerial = 1;
constexpr uint64_t kMaxBlocks = 1 << 20;

// A word of either bank that is a good intent of this serial.
bool read_intent(PhysicalMemory& memory, uint64_t where, uint64_t serial, Intent* intent) {
  const Banks& banks = memory.banks();
  return unpack_intent(memory.seed(), where, serial, banks.a.word(where), intent) ||
         unpack_intent(memory.seed(), where, serial, banks.b.word(where), intent);
}

void store_zeros(PhysicalMemory& memory, uint64_t from, uint64_t to) {
  for (uint64_t where = from; where < to; where += 8) store_both(memory, where, 0);
}

// Intents that differ between the banks: of a transaction that has no effects any more. One store
// makes each pair equal, so a death between two leaves nothing that looks like damage.
uint64_t mend_intents(PhysicalMemory& memory, uint64_t serial, uint64_t from, uint64_t to) {
  Banks& banks = memory.banks();
  uint64_t differed = 0;
  for (uint64_t where = from; where < to; where += 8) {
    const uint64_t in_a = banks.a.word(where), in_b = banks.b.word(where);
    if (in_a == in_b) continue;
    Intent intent;
    if (unpack_intent(memory.seed(), where, serial, in_a, &intent)) {
      banks.b.store_word(where, in_a);
    } else {
      banks.a.store_word(where, in_b);
    }
    ++differed;
  }
  return differed;
}

// A link of which only one copy is good is written again; one that neither has is erased. A death
// between the two stores leaves the old word, so only one that is no link at all is damage.
uint64_t mend_link(PhysicalMemory& memory, uint64_t where) {
  Banks& banks = memory.banks();
  const uint64_t words[2] = {banks.a.word(where), banks.b.word(where)};
  if (words[0] == words[1]) return 0;
  uint64_t damaged = 0;
  Intent link;
  for (const uint64_t word : words) {
    damaged += word != 0 && !unpack_intent(memory.seed(), where, kLinkSerial, word, &link);
  }
  if (read_intent(memory, where, kLinkSerial, &link)) {
    store_link(memory, where, link.header);
  } else {
    store_both(memory, where, 0);
  }
  return damaged;
}

}  // namespace

bool is_live_descriptor(const PhysicalMemory& memory, const Place& place, ObjectHeader* header) {
  for (const Bank* bank : {&memory.banks().a, &memory.banks().b}) {
    if (good_copy(memory, *bank, place, header) && header->live() &&
        header->kind() == ObjectKind::kDescriptor) {
      return true;
    }
  }
  return false;
}

bool is_live_descriptor(const PhysicalMemory& memory, uint64_t address, ObjectHeader* header) {
  Place place;
  return locate(memory, address, &place) && place.use == PageUse::kDescriptors &&
         is_live_descriptor(memory, place, header);
}

void format_descriptor(PhysicalMemory& memory, uint64_t descriptor) {
  // Intents of an earlier life are gone before the state makes their serials mean something again.
  store_zeros(memory, descriptor + 8, descriptor + kDescriptorBytes);
  memory.banks().fence();
  store_state(memory, descriptor, {kFirstSerial, Phase::kIdle});
  memory.banks().fence();
}

void format_intent_block(PhysicalMemory& memory, uint64_t block, uint64_t descriptor) {
  store_zeros(memory, block, block + kIntentBlockBytes);
  store_link(memory, block + 8, descriptor);
}

bool read_state(PhysicalMemory& memory, uint64_t descriptor, DescriptorState* state) {
  const Banks& banks = memory.banks();
  DescriptorState a, b;
  const bool good_a = unpack_state(memory.seed(), descriptor, banks.a.word(descriptor), &a);
  const bool good_b = unpack_state(memory.seed(), descriptor, banks.b.word(descriptor), &b);
  if (!good_a && !good_b) return false;
  const bool a_later = good_a && (!good_b || a.serial > b.serial ||
                                  (a.serial == b.serial && a.phase >= b.phase));
  *state = a_later ? a : b;
  return true;
}

uint64_t read_link(PhysicalMemory& memory, uint64_t descriptor, uint64_t where) {
  Intent link, back;
  Place place;
  ObjectHeader header;
  if (!read_intent(memory, where, kLinkSerial, &link) ||
      !locate_header(memory, link.header, &place)) {
    return 0;
  }
  const Banks& banks = memory.banks();
  const bool good = good_copy(memory, banks.a, place, &header) ||
                    good_copy(memory, banks.b, place, &header);
  return good && header.live() && header.kind() == ObjectKind::kIntents &&
                 read_intent(memory, place.contents + 8, kLinkSerial, &back) &&
                 back.header == descriptor
             ? place.contents
             : 0;
}

void store_link(PhysicalMemory& memory, uint64_t where, uint64_t block_header) {
  store_both(memory, where, pack_intent(memory.seed(), where, kLinkSerial,
                                        {block_header, Intent::kAllocate}));
}

std::vector<uint64_t> read_blocks(PhysicalMemory& memory, uint64_t descriptor) {
  std::vector<uint64_t> blocks;
  uint64_t block = read_link(memory, descriptor, link_of_descriptor(descriptor));
  for (; block != 0 && blocks.size() < kMaxBlocks;
       block = read_link(memory, descriptor, link_of_block(block))) {
    blocks.push_back(block);
  }
  return blocks;
}

void read_intents(PhysicalMemory& memory, uint64_t descriptor, uint64_t serial,
                  const std::function<void(const Intent&)>& each) {
  std::vector<uint64_t> blocks;
  uint64_t link = link_of_descriptor(descriptor);
  for (uint64_t index = 0;; ++index) {
    if (index == intents_room(blocks.size())) {
      const uint64_t block = read_link(memory, descriptor, link);
      if (block == 0 || blocks.size() == kMaxBlocks) return;
      blocks.push_back(block);
      link = link_of_block(block);
    }
    Intent intent;
    if (!read_intent(memory, intent_offset(descriptor, blocks, index), serial, &intent)) return;
    each(intent);
  }
}

uint64_t differing_words(PhysicalMemory& memory, uint64_t descriptor) {
  const Banks& banks = memory.banks();
  uint64_t differing = 0;
  const auto count = [&](uint64_t from, uint64_t size_bytes) {
    for (uint64_t where = from; where < from + size_bytes; where += 8) {
      differing += banks.a.word(where) != banks.b.word(where);
    }
  };
  count(descriptor, kDescriptorBytes);
  for (const uint64_t block : read_blocks(memory, descriptor)) count(block, kIntentBlockBytes);
  return differing;
}

uint64_t mend_descriptor(PhysicalMemory& memory, uint64_t descriptor, bool at_rest) {
  const Banks& banks = memory.banks();
  uint64_t damaged = 0, differed = 0;
  DescriptorState state;
  CHECK(read_state(memory, descriptor, &state), "a descriptor that is mended has a state");
  const uint64_t word = pack_state(memory.seed(), descriptor, state);
  if (banks.a.word(descriptor) != word || banks.b.word(descriptor) != word) {
    for (const Bank* bank : {&banks.a, &banks.b}) {
      // A death between two stores leaves the state before or the one before that.
      DescriptorState copy;
      damaged += !unpack_state(memory.seed(), descriptor, bank->word(descriptor), &copy) ||
                 copy.serial + 1 < state.serial;
    }
    store_both(memory, descriptor, word);
  }
  damaged += mend_link(memory, link_of_descriptor(descriptor));
  differed += mend_intents(memory, state.serial, descriptor + kIntentsOffset,
                           descriptor + kDescriptorBytes);
  for (const uint64_t block : read_blocks(memory, descriptor)) {
    damaged += mend_link(memory, link_of_block(block)) + mend_link(memory, block + 8);
    differed += mend_intents(memory, state.serial, block + kIntentsOffset,
                             block + kIntentBlockBytes);
  }
  memory.banks().fence();
  return damaged + (at_rest ? differed : 0);
}

}  // namespace auxin::stm
