// SPDX-License-Identifier: Apache-2.0
#include "stmemu/transaction/recovery.h"

#include <stdio.h>

#include <algorithm>

#include "stmemu/check.h"
#include "stmemu/isolated/connection.h"
#include "stmemu/memory/page_table.h"
#include "stmemu/memory/realm.h"
#include "stmemu/transaction/allocator.h"
#include "stmemu/transaction/contexts.h"
#include "stmemu/transaction/descriptor.h"

namespace auxin::stm {
namespace {

// Bank B holds what the object was; A may hold anything.
void undo(PhysicalMemory& memory, const Place& place, Findings* findings) {
  Banks& banks = memory.banks();
  ObjectHeader before, now;
  if (good_copy(memory, banks.b, place, &before)) {
    copy_object(banks.b, banks.a, place, before);
    return;
  }
  if (good_copy(memory, banks.a, place, &now)) copy_object(banks.a, banks.b, place, now);
  findings->loss(name_of_object(place, nullptr) +
                 ": its transaction was cut short, and what it held before is damaged");
}

// Bank A holds what the object has become; B may hold anything.
void redo(PhysicalMemory& memory, const Place& place, Findings* findings) {
  Banks& banks = memory.banks();
  ObjectHeader now, before;
  if (good_copy(memory, banks.a, place, &now)) {
    copy_object(banks.a, banks.b, place, now);
    return;
  }
  if (good_copy(memory, banks.b, place, &before)) copy_object(banks.b, banks.a, place, before);
  findings->loss(name_of_object(place, nullptr) +
                 ": its transaction was committed, and what it wrote is damaged");
}

// A block of intents was being made: either header will do, if it is whole.
void settle(PhysicalMemory& memory, const Place& place, Findings* findings) {
  Banks& banks = memory.banks();
  ObjectHeader a, b;
  const bool good_a = good_copy(memory, banks.a, place, &a);
  const bool good_b = good_copy(memory, banks.b, place, &b);
  if (good_a && (!good_b || a.version >= b.version)) {
    store_header(banks.b, place, a);
  } else if (good_b) {
    store_header(banks.a, place, b);
  } else {
    findings->loss(name_of_object(place, nullptr) + ": a transaction's list of objects");
  }
}

std::string name_of_descriptor(uint64_t descriptor) {
  return "transaction descriptor " + std::to_string(descriptor);
}

void recover_superblocks(PhysicalMemory& memory, Findings* findings) {
  Banks& banks = memory.banks();
  for (Bank* bank : {&banks.a, &banks.b}) {
    Superblock block = memory.superblock();
    block.checksum = superblock_checksum(block, bank->number());
    if (memcmp(bank->at(0), &block, sizeof(block)) == 0) continue;
    bank->store(0, &block, sizeof(block));
    findings->repair(std::string("superblock of bank ") + (bank->number() == 0 ? "A" : "B"));
  }
  banks.fence();
}

using EachSlot = std::function<void(uint64_t page, const PageHead& head, const Place& place)>;

void for_each_slot(PhysicalMemory& memory, PageUse use, const EachSlot& each) {
  PageTable(memory).walk([&](uint64_t page, const PageHead& head) {
    if (static_cast<PageUse>(head.use) != use) return true;
    for (uint32_t slot = 0; slot < memory.classes().slots(head.size_class); ++slot) {
      each(page, head, place_in_run(memory, page, head, slot));
    }
    return true;
  });
}

// The memory's own descriptors go back to the contexts. A new board knows nothing of them; one that
// was kept, for clients that outlived their controller, knows whose most are.
void hand_back(PhysicalMemory& memory, std::vector<uint64_t> descriptors,
               std::atomic<uint64_t> Context::*kept) {
  std::vector<Context*> without;
  for (Context& context : memory.board().contexts) {
    if (std::erase(descriptors, (context.*kept).load()) > 0) continue;
    (context.*kept).store(0);
    if (!context.lock.seems_held()) without.push_back(&context);
  }
  const size_t count = std::min(descriptors.size(), without.size());
  for (size_t index = 0; index < count; ++index) {
    (without[index]->*kept).store(descriptors[index]);
  }
}

void recover_descriptors(PhysicalMemory& memory, Findings* findings) {
  std::vector<uint64_t> descriptors = {kBootDescriptorOffset};
  for_each_slot(memory, PageUse::kDescriptors,
                [&](uint64_t, const PageHead&, const Place& place) {
                  ObjectHeader header;
                  if (is_live_descriptor(memory, place, &header)) {
                    descriptors.push_back(place.contents);
                  }
                });
  for (const uint64_t descriptor : descriptors) recover_descriptor(memory, descriptor, findings);
  std::vector<uint64_t> own, of_channels;
  for_each_slot(memory, PageUse::kDescriptors,
                [&](uint64_t, const PageHead&, const Place& place) {
                  ObjectHeader header;
                  if (!is_live_descriptor(memory, place, &header)) return;
                  if (header.type() == kOwnDescriptorType) own.push_back(place.contents);
                  if (header.type() == kChannelDescriptorType) {
                    of_channels.push_back(place.contents);
                  }
                });
  hand_back(memory, std::move(own), &Context::own_descriptor);
  hand_back(memory, std::move(of_channels), &Context::channel_descriptor);
}

void recover_objects(PhysicalMemory& memory, Findings* findings) {
  const auto judge = [&](uint64_t, const PageHead&, const Place& place) {
    ObjectHeader header;
    switch (sound_object(memory, place, &header)) {
      case Soundness::kSound:
        return;
      case Soundness::kRepaired:
        findings->repair(name_of_object(place, &header));
        return;
      case Soundness::kLost:
        findings->loss(name_of_object(place, nullptr) + ": damaged in both banks");
        return;
    }
  };
  for_each_slot(memory, PageUse::kObjects, judge);
  for_each_slot(memory, PageUse::kDescriptors, judge);
}

}  // namespace

void Findings::repair(const std::string& what) {
  ++repaired;
  if (details.size() < kMaxDetails) details.push_back("repaired " + what);
}

void Findings::loss(const std::string& what) {
  ++lost;
  if (details.size() < kMaxDetails) details.push_back("lost " + what);
}

std::string name_of_object(const Spot& place, const ObjectHeader* header) {
  char text[128];
  int size = snprintf(text, sizeof(text), "object 0x%llx (page %llu",
                      static_cast<unsigned long long>(place.contents),
                      static_cast<unsigned long long>(place.contents / kPageBytes));
  if (header != nullptr && header->live()) {
    size += snprintf(text + size, sizeof(text) - static_cast<size_t>(size),
                     ", %llu bytes, type 0x%x, version %llu",
                     static_cast<unsigned long long>(header->size_bytes()), header->type(),
                     static_cast<unsigned long long>(header->version));
  } else if (header != nullptr) {
    size += snprintf(text + size, sizeof(text) - static_cast<size_t>(size), ", free");
  }
  snprintf(text + size, sizeof(text) - static_cast<size_t>(size), ")");
  return text;
}

void recover_descriptor(PhysicalMemory& memory, uint64_t descriptor, Findings* findings) {
  DescriptorState state;
  if (!read_state(memory, descriptor, &state)) {
    findings->loss(name_of_descriptor(descriptor) +
                   ": both copies of its state are damaged; what it was doing is not known");
    format_descriptor(memory, descriptor);
    return;
  }
  uint64_t objects = 0;
  read_intents(memory, descriptor, state.serial, [&](const Intent& intent) {
    ++objects;
    Place place;
    if (!locate_header(memory, intent.header, &place)) return;  // its run was never used
    if (intent.deed == Intent::kBlock) {
      settle(memory, place, findings);
    } else if (state.phase == Phase::kCommitted) {
      redo(memory, place, findings);
    } else {
      undo(memory, place, findings);
    }
  });
  if (objects > 0) ++(state.phase == Phase::kCommitted ? findings->redone : findings->undone);
  memory.banks().fence();
  const uint64_t damaged = mend_descriptor(memory, descriptor, objects == 0);
  for (uint64_t count = 0; count < damaged; ++count) {
    findings->repair("a word of " + name_of_descriptor(descriptor));
  }
  if (objects > 0 || state.phase == Phase::kCommitted) {
    const bool committed = state.phase == Phase::kCommitted;
    store_state(memory, descriptor,
                {state.serial + 1, committed ? Phase::kIdleAfterCommit : Phase::kIdle});
    memory.banks().fence();
  }
}

Findings recover(PhysicalMemory& memory, bool every_object) {
  Findings findings;
  recover_superblocks(memory, &findings);
  const PageTable::Walked walked = PageTable(memory).rebuild();
  for (uint64_t count = 0; count < walked.repaired; ++count) findings.repair("a page head");
  if (walked.lost_pages > 0) {
    findings.loss("page " + std::to_string(walked.first_lost_page) + " and " +
                  std::to_string(walked.lost_pages - 1) +
                  " after it: both copies of the head of their run are damaged");
  }
  // A whole bank may be gone: then every run's storage may be, too.
  if (every_object) {
    PageTable(memory).walk([&](uint64_t page, const PageHead& head) {
      const PageUse use = static_cast<PageUse>(head.use);
      if (use == PageUse::kObjects || use == PageUse::kDescriptors) {
        memory.reserve(page * kPageBytes, head.pages * kPageBytes,
                       memory.classes().slots(head.size_class) * sizeof(ObjectHeader));
      }
      return true;
    });
  }
  recover_descriptors(memory, &findings);
  if (every_object) recover_objects(memory, &findings);
  return findings;
}

// --- making and attaching ---

namespace {

// The first object: a catalogue without entries, live from the beginning.
uint64_t format_catalogue(PhysicalMemory& memory) {
  const uint8_t size_class = memory.classes().class_of(kCatalogueBytes);
  const uint64_t page = PageTable(memory).make_run(
      PageUse::kObjects, size_class, memory.classes().shape(size_class).pages, 0);
  CHECK(page != 0, "the smallest bank has room for the catalogue");
  Place place;
  CHECK(locate_header(memory, page * kPageBytes, &place), "a run that was made has objects");
  ObjectHeader header = {};
  header.version = 1;
  header.describe(kCatalogueBytes, ObjectKind::kCatalogue, ObjectState::kLive);
  header.checksum = object_checksum(memory.seed(), place.generation, place.header, header,
                                    memory.banks().a.at(place.contents));
  memory.banks().a.store(place.header, &header, sizeof(header));
  memory.banks().b.store(place.header, &header, sizeof(header));
  return place.contents;
}

}  // namespace

Result<bool> create_memory(const std::string& path, const CreateOptions& options,
                           const PlainFill& fill_plain) {
  const auto fill_banks = [](PhysicalMemory& memory) {
    format_descriptor(memory, kBootDescriptorOffset);
    const uint64_t catalogue = format_catalogue(memory);
    set_intent_block_aside(memory);
    return catalogue;
  };
  return PhysicalMemory::create(path, options, {fill_banks, fill_plain});
}

Result<Findings> attach(PhysicalMemory& memory, const std::string& path,
                        const AttachOptions& options) {
  const Result<Identity> identity = PhysicalMemory::identify(path, options.any_machine);
  if (!identity) return Error{identity.error()};
  const bool isolated =
      static_cast<Mode>(identity.value().superblock.mode) == Mode::kIsolated;
  Findings findings;
  if (isolated && !options.controller) {
    const Result<bool> mapped = memory.map(path, PhysicalMemory::Access::kClient,
                                           {options.any_machine, options.plain_guards});
    if (!mapped) return Error{mapped.error()};
    recover_dead_contexts(memory);
    return findings;
  }
  const Result<bool> mapped =
      memory.map(path, PhysicalMemory::Access::kUse,
                 {options.any_machine, options.plain_guards});
  if (!mapped) return Error{mapped.error()};
  if (isolated && !memory.alone()) {
    return Error{path + ": it has a controller already (pid " +
                 std::to_string(memory.board().controller.pid.load()) + ")"};
  }
  if (memory.alone()) {
    // Clients of a controller that died still hold their claims; they go on with this one.
    if (memory.has_clients() && memory.board_is_foreign()) {
      return Error{path + ": its clients use another version of this library; end them first"};
    }
    if (!memory.has_clients() || !memory.board_is_ready()) memory.make_board();
    const bool every_object = options.every_object || identity.value().truncated ||
                              !identity.value().good[0] || !identity.value().good[1] ||
                              memory.durability() == Durability::kPower;
    findings = recover(memory, every_object);
    give_dead_realms_back(memory);
    set_intent_block_aside(memory);
    if (identity.value().truncated) {
      findings.repair("the file: its second bank had been cut off");
    }
  } else {
    recover_dead_contexts(memory);
  }
  memory.share();
  return findings;
}

namespace {

// A descriptor of the program's own is named by a context before it is claimed: somebody else's
// transaction may be the one that runs on it.
bool runs_on(const PhysicalMemory& memory, const Context& context, uint64_t descriptor) {
  if (descriptor == context.own_descriptor.load(std::memory_order_acquire)) return true;
  Place place;
  return locate(memory, descriptor, &place) &&
         OwnerWord::activity_of(memory.owner_word(place.header).load(std::memory_order_acquire)) ==
             context.active.load(std::memory_order_acquire);
}

}  // namespace

Findings recover_context(PhysicalMemory& memory, Context& context) {
  Board& board = memory.board();
  const uint64_t descriptor = context.descriptor.load(std::memory_order_acquire);
  const bool in_flight = context.active.load(std::memory_order_acquire) != 0 && descriptor != 0;
  Findings findings;
  uint64_t losses_counted = 0;
  if (in_flight && descriptor == kBootDescriptorOffset) {
    // It belongs to whoever holds the boot lock. If that is the caller, it was recovered then.
    if (!board.boot_lock.held_by_caller()) {
      recover_boot_descriptor(memory, &findings);
      losses_counted = findings.lost;
      board.boot_lock.unlock(plain_mutex_calls());
    }
  } else if (in_flight && runs_on(memory, context, descriptor)) {
    recover_descriptor(memory, descriptor, &findings);
  }
  if (context.active.load(std::memory_order_acquire) != 0) {
    board.statistics.recovered.fetch_add(1, std::memory_order_relaxed);
  }
  board.statistics.losses.fetch_add(findings.lost - losses_counted, std::memory_order_relaxed);
  const bool was_active = context.active.exchange(0, std::memory_order_seq_cst) != 0;
  // The controller may be at the dead thread's commit; it begins none for whom is not active.
  if (was_active && memory.connection() != nullptr) memory.connection()->settle([] {});
  context.waits_for.store(0, std::memory_order_relaxed);
  context.pid.store(0, std::memory_order_relaxed);
  return findings;
}

// Whoever has the lock may use the descriptor: it has a state then.
void recover_boot_descriptor(PhysicalMemory& memory, Findings* findings) {
  const RobustLock::Taken taken = memory.board().boot_lock.lock(plain_mutex_calls());
  CHECK(taken == RobustLock::Taken::kClean || taken == RobustLock::Taken::kOwnerDied,
        "the boot lock can be taken");
  Statistics& statistics = memory.board().statistics;
  DescriptorState state;
  if (taken == RobustLock::Taken::kOwnerDied) {
    const uint64_t lost_before = findings->lost;
    recover_descriptor(memory, kBootDescriptorOffset, findings);
    statistics.losses.fetch_add(findings->lost - lost_before, std::memory_order_relaxed);
  } else if (!read_state(memory, kBootDescriptorOffset, &state)) {
    // Whoever had the lock before has ended its transaction on it, so nothing is lost with it.
    format_descriptor(memory, kBootDescriptorOffset);
    findings->repair(name_of_descriptor(kBootDescriptorOffset) +
                     ": both copies of its state were damaged, nothing was in flight on it");
    statistics.repairs.fetch_add(1, std::memory_order_relaxed);
  }
}

}  // namespace auxin::stm
