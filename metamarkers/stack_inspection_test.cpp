// SPDX-License-Identifier: Apache-2.0
//
// Who called: in this process, and in a program that has the room preloaded, whose exceptions must
// keep their unwinder.
#include "metamarkers/stack_inspection.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <string>
#include <thread>

using namespace auxin::markers;

namespace {

struct Found {
  std::array<void*, kMaxInspectedFrames> addresses;
  size_t count;
};

[[gnu::noinline]] void innermost(Found* found, size_t capacity) {
  found->count = callers(found->addresses.data(), capacity);
  asm volatile("");
}
[[gnu::noinline]] void outer(Found* found, size_t capacity) {
  innermost(found, capacity);
  asm volatile("");
}
[[gnu::noinline]] void deep(Found* found, int depth) {
  if (depth == 0) outer(found, kMaxInspectedFrames);
  else deep(found, depth - 1);
  asm volatile("");
}

bool within(const void* address, void (*function)(Found*, size_t)) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  const auto begin = reinterpret_cast<uintptr_t>(function);
  return at > begin && at < begin + 128;
}

class StackInspection : public ::testing::Test {
 protected:
  void SetUp() override { prepare_stack_inspection(); }
};

TEST_F(StackInspection, UsesLibunwindWhereItIsInstalled) {
  EXPECT_STREQ(stack_inspection_method(), "libunwind");
}

TEST_F(StackInspection, StartsWithTheCallerAndGoesOutwards) {
  Found found{};
  outer(&found, kMaxInspectedFrames);
  ASSERT_GT(found.count, 4u);
  EXPECT_TRUE(within(found.addresses[0], innermost));
  EXPECT_TRUE(within(found.addresses[1], outer));
}

TEST_F(StackInspection, KeepsToTheCapacity) {
  Found found{};
  outer(&found, 2);
  EXPECT_EQ(found.count, 2u);
  EXPECT_TRUE(within(found.addresses[1], outer));
  EXPECT_EQ(found.addresses[2], nullptr);
  outer(&found, 0);
  EXPECT_EQ(found.count, 0u);
}

TEST_F(StackInspection, StopsAtTheDepthItLooksAt) {
  Found found{};
  deep(&found, 2000);
  EXPECT_GT(found.count, kMaxInspectedFrames - 8);
  EXPECT_LE(found.count, kMaxInspectedFrames);
}

TEST_F(StackInspection, WorksOnEveryThread) {
  for (int round = 0; round < 20; ++round) {
    std::thread([] {
      Found found{};
      outer(&found, kMaxInspectedFrames);
      EXPECT_GT(found.count, 3u);
      EXPECT_TRUE(within(found.addresses[1], outer));
    }).join();
  }
}

TEST_F(StackInspection, LibunwindsUnwinderStaysOutOfSight) {
  for (const char* name : {"_Unwind_RaiseException", "_Unwind_Resume", "_Unwind_ForcedUnwind"}) {
    void* symbol = dlsym(RTLD_DEFAULT, name);
    ASSERT_NE(symbol, nullptr);
    Dl_info info;
    ASSERT_NE(dladdr(symbol, &info), 0);
    EXPECT_NE(std::string(info.dli_fname).find("libgcc_s.so"), std::string::npos)
        << name << " is in " << info.dli_fname;
  }
}

// Exit status and output of a command.
std::pair<int, std::string> run(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "re");
  std::string output;
  char chunk[512];
  while (pipe != nullptr && fgets(chunk, sizeof chunk, pipe) != nullptr) output += chunk;
  return {pipe != nullptr ? pclose(pipe) : -1, output};
}

TEST(PreloadedProgram, HasTheSameOutputItsExceptionsAndItsCallers) {
  const std::string program = AUXIN_PRELOADED_PROGRAM;
  const auto plain = run(program);
  ASSERT_EQ(plain.first, 0) << plain.second;
  const auto preloaded = run("LD_PRELOAD=" AUXIN_PRELOAD " " + program + " libunwind");
  EXPECT_EQ(preloaded.first, 0) << preloaded.second;
  EXPECT_EQ(preloaded.second, plain.second);
}

TEST(PreloadedProgram, FallsBackToBacktraceWhereLibunwindCantBeLoaded) {
  // A directory in which "libunwind.so.8" is no library goes first in the search.
  const std::string preloaded =
      "d=$(mktemp -d) && echo no > $d/libunwind.so.8 && "
      "LD_LIBRARY_PATH=$d LD_PRELOAD=" AUXIN_PRELOAD " " AUXIN_PRELOADED_PROGRAM
      " backtrace; s=$?; rm -r $d; exit $s";
  const auto result = run(preloaded);
  EXPECT_EQ(result.first, 0) << result.second;
}

}  // namespace
