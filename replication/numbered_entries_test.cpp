// SPDX-License-Identifier: Apache-2.0
//
// The walk over a directory whose names are numbers.
#include "replication/numbered_entries.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <string>

#include "stmemu/test_memory.h"

namespace auxin::replication {
namespace {

std::multiset<int> entries_of(const std::string& path) {
  std::multiset<int> met;
  for_each_numbered_entry(path.c_str(), [&met](int number) { met.insert(number); });
  return met;
}

TEST(NumberedEntries, AllOfALargeDirectoryAreMetOnceAndNothingElse) {
  stm::TestDirectory directory;
  std::multiset<int> numbers;
  for (int n = 0; n < 1500; ++n) numbers.insert(n * 1'431'655);  // several buffers full
  for (const int number : numbers) std::ofstream(directory.file(std::to_string(number))).put('x');
  for (const char* name : {"self", "thread-self", "-1"}) std::ofstream(directory.file(name)).put(0);
  EXPECT_EQ(entries_of(directory.path()), numbers);
}

TEST(NumberedEntries, ADirectoryThatIsNotThereHasNone) {
  stm::TestDirectory directory;
  errno = 77;
  EXPECT_TRUE(entries_of(directory.file("absent")).empty());
  EXPECT_EQ(errno, 77);
}

TEST(NumberedEntries, TheWalkLeavesNoDescriptorBehind) {
  const int free_before = dup(0);
  close(free_before);
  const std::multiset<int> open = entries_of("/proc/self/fd");
  EXPECT_EQ(open.count(1), 1u);
  const int free_after = dup(0);
  close(free_after);
  EXPECT_EQ(free_after, free_before);
}

}  // namespace
}  // namespace auxin::replication
