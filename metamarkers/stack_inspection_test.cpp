// SPDX-License-Identifier: Apache-2.0
//
// Who called: in this process, and in a program that has the room preloaded, whose exceptions must
// keep their unwinder.
#include "metamarkers/stack_inspection.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>
#include <string>
#include <thread>

#include "metamarkers/address_check.h"
#include "metamarkers/interception.h"

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

std::set<std::string> descriptors() {
  std::set<std::string> numbers;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    numbers.insert(entry.path().filename());
  }
  return numbers;
}

// Before anything was inspected, so it is the first case (of its own process, where CTest runs it).
TEST(Descriptors, AreNotTouchedByStackInspection) {
  const auto before = descriptors();
  prepare_stack_inspection();
  EXPECT_EQ(descriptors(), before);
  Found found{};
  outer(&found, kMaxInspectedFrames);
  std::thread([] {
    Found in_thread{};
    outer(&in_thread, kMaxInspectedFrames);
  }).join();
  EXPECT_GT(found.count, 4u);
  EXPECT_EQ(descriptors(), before);
}

// A frame without unwind information that uses the frame pointer for something else: libunwind
// guesses, and must find that where the guess leads nothing can be read.
Found through_a_frame_that_leads_nowhere() {
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void* unreadable = mmap(nullptr, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_TRUE(page != MAP_FAILED && unreadable != MAP_FAILED);
  // push rbp; mov rbp, <unreadable>; mov rax, rdi; mov rdi, rsi; mov rsi, rdx; call rax; pop rbp;
  // ret
  unsigned char code[] = {0x55, 0x48, 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 0x48, 0x89, 0xf8, 0x48, 0x89,
                          0xf7, 0x48, 0x89, 0xd6, 0xff, 0xd0, 0x5d, 0xc3};
  const uint64_t lost = reinterpret_cast<uint64_t>(unreadable) + 4096;
  memcpy(code + 3, &lost, sizeof lost);
  memcpy(page, code, sizeof code);
  Found found{};
  reinterpret_cast<void (*)(void (*)(Found*, size_t), Found*, size_t)>(page)(
      innermost, &found, kMaxInspectedFrames);
  munmap(page, 4096);
  munmap(unreadable, 8192);
  return found;
}

TEST_F(StackInspection, PassesAFrameThatLeadsNowhere) {
  const auto before = descriptors();
  const Found found = through_a_frame_that_leads_nowhere();
  EXPECT_GE(found.count, 2u);
  EXPECT_TRUE(within(found.addresses[0], innermost));
  EXPECT_EQ(descriptors(), before);
}

TEST_F(StackInspection, StaysWithoutDescriptorsWhereHooksAreTakenOut) {
  const auto before = descriptors();
  for (const char* name : {"pipe2", "read", "syscall", "write"}) {
    rebind(name, dlsym(RTLD_DEFAULT, name));
  }
  EXPECT_GE(through_a_frame_that_leads_nowhere().count, 2u);
  EXPECT_EQ(descriptors(), before);
}

TEST(AddressCheck, SaysWhatCanBeRead) {
  auto* pages = static_cast<char*>(
      mmap(nullptr, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(pages, MAP_FAILED);
  ASSERT_EQ(mprotect(pages + 4096, 4096, PROT_NONE), 0);
  errno = ENOTTY;
  EXPECT_TRUE(is_readable(pages));
  EXPECT_TRUE(is_readable(pages + 4095));
  EXPECT_FALSE(is_readable(pages + 4096));
  EXPECT_FALSE(is_readable(nullptr));
  EXPECT_FALSE(is_readable(reinterpret_cast<void*>(~uint64_t{0})));
  EXPECT_EQ(errno, ENOTTY);
  munmap(pages, 8192);
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
