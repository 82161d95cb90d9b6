// SPDX-License-Identifier: Apache-2.0
//
// class MemoryObject of <auxin/stm_entities.h> (paper 001, §3.2.2). Its pages are the page table's
// and the allocator's business (memory/realm.h); here it is made, found and removed.
#include "auxin/stm_entities.h"
#include "stmemu/entities/entity_access.h"
#include "stmemu/interface/environment.h"
#include "stmemu/memory/page_table.h"
#include "stmemu/transaction/catalogue.h"

namespace auxin::stm {
namespace {

MemoryObjectRecord demand_record(EntityAccess& access, uint64_t reference) {
  MemoryObjectRecord record;
  if (!access.look(record_address(reference), ObjectKind::kMemoryObject, 0, &record) ||
      record.reference != reference) {
    detail::raise(Status::kNoRight, "the stable memory object is no more");
  }
  return record;
}

// What others are doing just then may or may not be counted.
void count_objects(const PhysicalMemory& memory, uint64_t realm, MemoryObjectReport* report) {
  PageTable(const_cast<PhysicalMemory&>(memory)).walk([&](uint64_t page, const PageHead& head) {
    if (static_cast<PageUse>(head.use) != PageUse::kObjects || head.owner != realm) return true;
    report->pages += head.pages;
    for (uint32_t slot = 0; slot < memory.classes().slots(head.size_class); ++slot) {
      const Place place = place_in_run(memory, page, head, slot);
      ObjectHeader header;
      if (!good_copy(memory, memory.banks().b, place, &header) || !header.live()) continue;
      report->objects += 1;
      report->object_bytes += header.size_bytes();
    }
    return true;
  });
}

}  // namespace

MemoryObject MemoryObject::create(const std::string& name, uint64_t quota_pages) {
  EntityAccess access("a stable memory object can't be made");
  if (name.empty()) detail::raise(Status::kTooLarge, "a stable memory object has a name");
  MemoryObjectRecord record = {};
  const uint64_t address = access.make_empty(ObjectKind::kMemoryObject, 0, sizeof(record));
  record.reference = new_reference(address);
  record.quota_pages = quota_pages;
  name_entity(access, ObjectKind::kMemoryObject, name, record.reference);
  memcpy(record.name, name.data(), name.size());
  access.write(address, record);
  return Inside::memory_object(Inside::here(), record.reference);
}

MemoryObject MemoryObject::find(const std::string& name) {
  const uint64_t reference =
      in_transaction("a stable memory object can't be looked up", [&](EntityAccess& access) {
        return find_entity(access, ObjectKind::kMemoryObject, name);
      });
  return reference == 0 ? MemoryObject() : Inside::memory_object(Inside::here(), reference);
}

void MemoryObject::destroy() const {
  EntityAccess access("a stable memory object can't be removed");
  demand_record(access, reference_);
  const MemoryObjectRecord record = access.read<MemoryObjectRecord>(record_address(reference_));
  if (record.task != 0) {
    detail::raise(Status::kBusy, "the stable memory object \"" + std::string(record.name) +
                                     "\" is a task's");
  }
  forget_name(access, ObjectKind::kMemoryObject, record.name);
  access.check(erase_space(access.activation(), record.reference));
  access.activation().set_system(true);
  access.free(record_address(reference_));
  access.activation().reclaim_realms_at_commit();
}

Memory MemoryObject::memory() const {
  if (reference_ == 0) detail::raise(Status::kNoRight, "a null memory object");
  const std::shared_ptr<MemoryCore>& core = Inside::core(physical_);
  MemoryObjectRecord record;
  if (!realm_lives(core->physical, reference_, &record)) {
    detail::raise(Status::kNoRight, "the stable memory object is no more, or is not committed yet");
  }
  if (record.task != 0 && record.task != current_holder(*core)) {
    detail::raise(Status::kNoRight, "the stable memory object \"" + std::string(record.name) +
                                        "\" is private to its task");
  }
  return Inside::memory(core, reference_);
}

MemoryObjectReport MemoryObject::report() const {
  return in_transaction("a stable memory object can't be looked at", [&](EntityAccess& access) {
    const MemoryObjectRecord record = demand_record(access, reference_);
    MemoryObjectReport report = {record.name, record.quota_pages, 0, 0, 0};
    count_objects(access.memory(), reference_, &report);
    return report;
  });
}

}  // namespace auxin::stm
