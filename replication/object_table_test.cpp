// SPDX-License-Identifier: Apache-2.0
//
// The table of objects by address. It is one per process: each test has a process of its own.
#include "replication/object_table.h"

#include <gtest/gtest.h>
#include <stdio.h>

#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "replication/synchronisation.h"
#include "replication/test_group.h"
#include "stmemu/test_memory.h"

namespace auxin::replication {
namespace {

constexpr size_t kCapacity = kMaxTableObjects;

const void* address_of(uint64_t number) {
  return reinterpret_cast<const void*>(0x7000'0000'0000 + number * 8);
}

template <typename Body>
int in_process(Body body) {
  fflush(nullptr);
  return stm::end_of(stm::in_child([&body] {
    body();
    fflush(nullptr);
    return testing::Test::HasFailure() ? 1 : 0;
  }));
}

TEST(ObjectTable, HoldsItsCapacityAndSaysWhenItIsFull) {
  EXPECT_EQ(in_process([] {
    std::set<TableObject*> places;
    for (size_t n = 0; n < kCapacity; ++n) {
      TableObject* object = table_object(address_of(n));
      ASSERT_NE(object, nullptr);
      EXPECT_TRUE(places.insert(object).second) << n;
      object->count = n;
    }
    EXPECT_EQ(table_object(address_of(kCapacity)), nullptr);
    for (size_t n = 0; n < kCapacity; ++n) {
      TableObject* object = table_object(address_of(n));
      ASSERT_NE(object, nullptr);
      EXPECT_EQ(object->address.load(), address_of(n));
      EXPECT_EQ(object->count, n);
    }
  }), 0);
}

TEST(ObjectTable, TellsTheGroupOnceThatItIsFull) {
  TestGroup group;
  EXPECT_EQ(group.run_leader(0, [] {
    for (size_t n = 0; n < kCapacity; ++n) table_object(address_of(n));
    EXPECT_EQ(replica->control().unsupported[0].used.load(), 0u);
    table_object(address_of(kCapacity));
    table_object(address_of(kCapacity + 1));
  }), 0);
  EXPECT_NE(strstr(group.control().unsupported[0].text, "not ordered"), nullptr);
  EXPECT_EQ(group.control().unsupported[1].used.load(), 0u);
}

TEST(ObjectTable, AForgottenObjectStartsAnew) {
  EXPECT_EQ(in_process([] {
    table_object(address_of(1))->tag = 5;
    table_object(address_of(1))->count = 7;
    forget_table_object(address_of(1));
    EXPECT_EQ(known_table_object(address_of(1)), nullptr);
    forget_table_object(address_of(1));
    forget_table_object(address_of(2));
    TableObject* anew = table_object(address_of(1));
    ASSERT_NE(anew, nullptr);
    EXPECT_EQ(known_table_object(address_of(1)), anew);
    EXPECT_EQ(anew->tag, 0u);
    EXPECT_EQ(anew->count, 0u);
  }), 0);
}

// Which order objects come and go in: each is found as long as it is there, and never after.
TEST(ObjectTable, HoldsAnyNumberOneAfterAnother) {
  EXPECT_EQ(in_process([] {
    constexpr size_t kAtOnce = kCapacity / 2;
    for (size_t n = 0; n < 10 * kCapacity; ++n) {
      TableObject* object = table_object(address_of(n));
      ASSERT_NE(object, nullptr) << n;
      EXPECT_EQ(object->count, 0u);
      object->count = n + 1;
      if (n < kAtOnce) continue;
      const uint64_t oldest = n - kAtOnce;
      ASSERT_NE(known_table_object(address_of(oldest)), nullptr) << n;
      EXPECT_EQ(known_table_object(address_of(oldest))->count, oldest + 1);
      forget_table_object(address_of(oldest));
      EXPECT_EQ(known_table_object(address_of(oldest)), nullptr);
    }
  }), 0);
}

TEST(ObjectTable, ThreadsThatComeAndGoDoNotDisturbThoseThatStay) {
  EXPECT_EQ(in_process([] {
    constexpr unsigned kThreads = 4, kStay = 256, kRounds = 20'000;
    for (unsigned n = 0; n < kStay; ++n) table_object(address_of(n))->count = n;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < kThreads; ++t) {
      threads.emplace_back([t] {
        for (unsigned round = 0; round < kRounds; ++round) {
          const void* own = address_of(kStay + t + kThreads * (round % 64));
          TableObject* object = table_object(own);
          if (object == nullptr || object->count != 0) ADD_FAILURE();
          object->count = 1;
          forget_table_object(own);
          const unsigned other = round % kStay;
          object = known_table_object(address_of(other));
          if (object == nullptr || object->count != other) ADD_FAILURE();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }), 0);
}

TEST(ObjectTable, ANewSpinLockInOldMemoryIsANewObject) {
  EXPECT_EQ(in_process([] {
    OrderedSynchronisation ordered;
    pthread_spinlock_t lock;
    table_object(const_cast<const int*>(&lock))->count = 3;
    EXPECT_EQ(ordered.spin_init(&lock, PTHREAD_PROCESS_PRIVATE), 0);
    EXPECT_EQ(known_table_object(const_cast<const int*>(&lock)), nullptr);
    EXPECT_EQ(pthread_spin_trylock(&lock), 0);
    pthread_spin_unlock(&lock);
    table_object(const_cast<const int*>(&lock))->count = 3;
    EXPECT_EQ(ordered.spin_destroy(&lock), 0);
    EXPECT_EQ(known_table_object(const_cast<const int*>(&lock)), nullptr);
  }), 0);
}

}  // namespace
}  // namespace auxin::replication
