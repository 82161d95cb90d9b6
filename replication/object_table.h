// SPDX-License-Identifier: Apache-2.0
//
// Tags and counts for synchronisation objects that have no room of their own (spin locks, once
// controls): a table by address. A spin lock's entry is forgotten when one is made or destroyed at
// its address, so that a new one does not go on with an old one's identity and number: replicas
// reuse addresses differently. A once control can't be seen to go: what reuses its address goes on
// with its entry.
//
// Thread safety: any thread. Looking up is lock-free; making and forgetting take a lock.
#pragma once

#include <atomic>
#include <cstdint>

namespace auxin::replication {

inline constexpr unsigned kMaxTableObjects = 4096;

struct TableObject {
  std::atomic<const void*> address;
  uint64_t tag;    // identity in the low half, as mutex_tag.h
  uint64_t count;  // acquisitions so far
};

// The entry of the object at `address`, made if there is none. Null: the table is full, which the
// group's status then says.
TableObject* table_object(const void* address);

// The same, or null if there is none.
TableObject* known_table_object(const void* address);

// There is a new object at `address`, or none any more. The entry must not be in use.
void forget_table_object(const void* address);

}  // namespace auxin::replication
