// SPDX-License-Identifier: Apache-2.0
#include "replication/object_table.h"

namespace auxin::replication {
namespace {

constexpr unsigned kCapacity = 4096;
constinit TableObject table[kCapacity];

}  // namespace

TableObject* table_object(const void* address) {
  unsigned at = static_cast<unsigned>((reinterpret_cast<uintptr_t>(address) *
                                       0x9E3779B97F4A7C15ull) >> 52);
  for (unsigned tries = 0; tries < kCapacity; ++tries, at = (at + 1) % kCapacity) {
    const void* there = table[at].address.load(std::memory_order_acquire);
    if (there == address) return &table[at];
    if (there == nullptr) {
      if (table[at].address.compare_exchange_strong(there, address)) return &table[at];
      if (there == address) return &table[at];
    }
  }
  return nullptr;
}

}  // namespace auxin::replication
