// SPDX-License-Identifier: Apache-2.0
//
// Open addressing. A place is empty, taken, or vacated: a search goes on past a vacated place and
// ends at an empty one. A place is emptied again where the next one is empty, so that what was
// vacated does not make searches long for ever.
#include "replication/object_table.h"

#include "replication/futex.h"
#include "replication/replica.h"

namespace auxin::replication {
namespace {

constexpr unsigned kHashBits = 12;
static_assert(kMaxTableObjects == 1u << kHashBits);

constinit TableObject table[kMaxTableObjects];
constinit FutexLock changing;
constinit std::atomic<bool> full_noted{false};

// No object is there.
const void* vacated() { return reinterpret_cast<const void*>(uintptr_t{1}); }

unsigned first_place(const void* address) {
  return static_cast<unsigned>(
      (reinterpret_cast<uintptr_t>(address) * 0x9E3779B97F4A7C15ull) >> (64 - kHashBits));
}

unsigned after(unsigned place) { return (place + 1) % kMaxTableObjects; }
unsigned before(unsigned place) { return (place + kMaxTableObjects - 1) % kMaxTableObjects; }

// The place where the address is, or (`free` not null) where it may be put; else kMaxTableObjects.
unsigned search(const void* address, unsigned* free) {
  unsigned at = first_place(address);
  for (unsigned tries = 0; tries < kMaxTableObjects; ++tries, at = after(at)) {
    const void* there = table[at].address.load(std::memory_order_acquire);
    if (there == address) return at;
    const bool is_free = there == nullptr || there == vacated();
    if (is_free && free != nullptr && *free == kMaxTableObjects) *free = at;
    if (there == nullptr) break;
  }
  return kMaxTableObjects;
}

void note_full() {
  if (full_noted.load(std::memory_order_relaxed) || full_noted.exchange(true)) return;
  note_unsupported("more than 4096 spin locks and once controls at once: further ones are not "
                   "ordered");
}

}  // namespace

TableObject* known_table_object(const void* address) {
  const unsigned place = search(address, nullptr);
  return place < kMaxTableObjects ? &table[place] : nullptr;
}

TableObject* table_object(const void* address) {
  if (TableObject* known = known_table_object(address)) return known;
  FutexGuard guard(changing);
  unsigned free = kMaxTableObjects;
  if (const unsigned place = search(address, &free); place < kMaxTableObjects) return &table[place];
  if (free == kMaxTableObjects) {
    note_full();
    return nullptr;
  }
  TableObject& made = table[free];
  std::atomic_ref<uint64_t>(made.tag).store(0, std::memory_order_relaxed);
  std::atomic_ref<uint64_t>(made.count).store(0, std::memory_order_relaxed);
  made.address.store(address, std::memory_order_release);
  return &made;
}

void forget_table_object(const void* address) {
  if (known_table_object(address) == nullptr) return;
  FutexGuard guard(changing);
  unsigned place = search(address, nullptr);
  if (place == kMaxTableObjects) return;
  table[place].address.store(vacated(), std::memory_order_release);
  if (table[after(place)].address.load(std::memory_order_relaxed) != nullptr) return;
  for (; table[place].address.load(std::memory_order_relaxed) == vacated(); place = before(place))
    table[place].address.store(nullptr, std::memory_order_release);
}

}  // namespace auxin::replication
