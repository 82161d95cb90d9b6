// SPDX-License-Identifier: Apache-2.0
//
// Tags and counts for synchronisation objects that have no room of their own (spin locks, once
// controls, barriers): a table by address. An entry is forgotten when the object is destroyed where
// that can be seen; what reuses the address later goes on with its numbers, which is the same in
// every replica as long as the addresses are reused alike.
//
// Thread safety: any thread; lock-free look-up, entries are never removed from the table.
#pragma once

#include <atomic>
#include <cstdint>

namespace auxin::replication {

struct TableObject {
  std::atomic<const void*> address;
  uint64_t tag;    // identity in the low half, as mutex_tag.h
  uint64_t count;  // acquisitions so far
};

// The entry of the object at `address`; null if the table (4096 objects) is full.
TableObject* table_object(const void* address);

}  // namespace auxin::replication
