// SPDX-License-Identifier: Apache-2.0
//
// The table of objects by address. It is one per process: the test has a process of its own.
#include "replication/object_table.h"

#include <gtest/gtest.h>
#include <stdio.h>

#include <set>

#include "stmemu/test_memory.h"

namespace auxin::replication {
namespace {

constexpr size_t kCapacity = 4096;

const void* address_of(uint64_t number) {
  return reinterpret_cast<const void*>(0x7000'0000'0000 + number * 8);
}

TEST(ObjectTable, HoldsItsCapacityAndSaysWhenItIsFull) {
  fflush(nullptr);
  EXPECT_EQ(stm::end_of(stm::in_child([] {
    std::set<TableObject*> places;
    for (size_t n = 0; n < kCapacity; ++n) {
      TableObject* object = table_object(address_of(n));
      if (object == nullptr) return 2;
      EXPECT_TRUE(places.insert(object).second) << n;
      object->count = n;
    }
    EXPECT_EQ(table_object(address_of(kCapacity)), nullptr);
    for (size_t n = 0; n < kCapacity; ++n) {
      TableObject* object = table_object(address_of(n));
      if (object == nullptr) return 2;
      EXPECT_EQ(object->address.load(), address_of(n));
      EXPECT_EQ(object->count, n);
    }
    fflush(nullptr);
    return HasFailure() ? 1 : 0;
  })), 0);
}

}  // namespace
}  // namespace auxin::replication
