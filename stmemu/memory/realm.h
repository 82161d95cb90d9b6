// SPDX-License-Identifier: Apache-2.0
//
// A realm: the pages of one stable memory object, a logical STM inside the physical one (paper 001,
// §3.2.2). The page table and the allocator need of it only whether it lives and how many pages it
// may have; the rest is entities/'s.
//
// A realm is named by its record's reference: the record's address, and a mark that is random for
// each record, so that pages which outlive their record are never taken for a later one's. Pages
// whose realm is dead belong to nobody, whatever lies in them; they are given back by whoever needs
// room, by the commit that frees the record, and when the memory is attached.
//
// Thread safety: any thread; nothing is claimed.
#pragma once

#include <vector>

#include "stmemu/memory/object.h"

namespace auxin::stm {

// The paper's entities are named alike: address of the record, 40 bits | mark, 24 bits (never 0).
inline constexpr uint64_t kReferenceAddressMask = (uint64_t{1} << 40) - 1;
inline constexpr uint64_t record_address(uint64_t reference) {
  return reference & kReferenceAddressMask;
}

inline constexpr size_t kLongestEntityName = 47;

// ObjectKind::kMemoryObject.
struct MemoryObjectRecord {
  uint64_t reference;
  uint64_t quota_pages;
  uint64_t task;       // reference of the task whose private memory it is, or 0
  uint64_t reserved;
  char name[kLongestEntityName + 1];
};
static_assert(sizeof(MemoryObjectRecord) == 80 && offsetof(MemoryObjectRecord, name) == 32);

// What was committed last of an object, without claiming it. kUnsettled: it is being committed, by
// a thread that has died in it or is very slow; claiming it settles that.
enum class Committed : uint8_t { kFound, kAbsent, kUnsettled };
// Absent if it is not one of that kind and type. At most `longest` bytes.
Committed read_committed(const PhysicalMemory& memory, uint64_t address, ObjectKind kind,
                         uint32_t type, uint64_t longest, std::vector<char>* contents);
// Of exactly `size_bytes`.
Committed read_committed(const PhysicalMemory& memory, uint64_t address, ObjectKind kind,
                         uint32_t type, void* to, uint64_t size_bytes);

// False only if it is certain that the realm is no more (`record` is filled if it is certain that
// it lives; else zero, quota 0).
bool realm_lives(const PhysicalMemory& memory, uint64_t realm, MemoryObjectRecord* record);

// Gives back the pages of all dead realms. Only by a process that is alone, after recovery.
void give_dead_realms_back(PhysicalMemory& memory);

}  // namespace auxin::stm
