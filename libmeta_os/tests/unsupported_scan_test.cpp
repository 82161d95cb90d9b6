// SPDX-License-Identifier: Apache-2.0
//
// Goal: a module is accused of what it does and of nothing else. Method: small shared objects that
// each do one thing (uses/), compiled in the ways in which real ones are, are loaded and scanned.
#include "libmeta_os/unsupported_scan.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace auxin::os {
namespace {

using Uses = std::vector<std::pair<std::string, std::string>>;  // name, symbol; sorted

// Loads the sample (a path) and scans it, with its file or without.
Uses uses_of(const std::string& path, bool with_file = true) {
  void* const library = dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) {
    ADD_FAILURE() << dlerror();
    return {};
  }
  struct Wanted {
    std::string name;
    const char* path;
    bool seen;
    Uses uses;
  } wanted{path.substr(path.rfind('/') + 1), with_file ? path.c_str() : nullptr, false, {}};
  markers::for_each_elf_module(
      [](const markers::ElfModule& module, void* context) {
        auto& of = *static_cast<Wanted*>(context);
        if (of.name != module.name) return;
        of.seen = true;
        scan_module(
            module, of.path,
            [](Unsupported use, const char* symbol, void* to) {
              static_cast<Wanted*>(to)->uses.emplace_back(unsupported_name(use), symbol);
            },
            context);
      },
      &wanted);
  dlclose(library);
  EXPECT_TRUE(wanted.seen) << path;
  std::sort(wanted.uses.begin(), wanted.uses.end());
  return wanted.uses;
}

const Uses kFutexCall = {{"futex", "syscall(SYS_futex)"}};

TEST(UnsupportedScan, AFutexCallIsSeenHoweverTheFunctionIsReached) {
  EXPECT_EQ(uses_of(SAMPLE_FUTEX_LAZY), kFutexCall);
  EXPECT_EQ(uses_of(SAMPLE_FUTEX_NOW), kFutexCall);
  EXPECT_EQ(uses_of(SAMPLE_FUTEX_NO_PLT), kFutexCall);
  EXPECT_EQ(uses_of(SAMPLE_FUTEX_UNOPTIMISED), kFutexCall);
  EXPECT_EQ(uses_of(SAMPLE_FUTEX_INSTRUCTION), kFutexCall);
}

TEST(UnsupportedScan, AtomicWaitIsToldFromAPlainFutexWhereThereAreSymbols) {
  const Uses optimised = uses_of(SAMPLE_ATOMIC_WAIT);
  ASSERT_EQ(optimised.size(), 1u);
  EXPECT_EQ(optimised[0].first, "atomic-wait");
  const Uses unoptimised = uses_of(SAMPLE_ATOMIC_WAIT_UNOPTIMISED);
  ASSERT_EQ(unoptimised.size(), 1u);
  EXPECT_EQ(unoptimised[0].first, "atomic-wait");
}

TEST(UnsupportedScan, AtomicWaitWithoutSymbolsIsAFutexCall) {
  EXPECT_EQ(uses_of(SAMPLE_ATOMIC_WAIT_STRIPPED), kFutexCall);
}

TEST(UnsupportedScan, ContainersAreKnownByTheirNamesEachLibraryOnce) {
  const Uses wanted = {{"io-uring", "io_uring_queue_init"},
                       {"lock-free", "boost::lockfree"},
                       {"lock-free", "liburcu"},
                       {"lock-free", "moodycamel"}};
  EXPECT_EQ(uses_of(SAMPLE_CONTAINERS), wanted);
}

TEST(UnsupportedScan, NamesInTheDynamicTableNeedNoFile) {
  const Uses uses = uses_of(SAMPLE_CONTAINERS, false);
  EXPECT_EQ(uses, uses_of(SAMPLE_CONTAINERS));
  const Uses without_hidden_names = uses_of(SAMPLE_CONTAINERS_HIDDEN, false);
  EXPECT_EQ(without_hidden_names, (Uses{{"io-uring", "io_uring_queue_init"},
                                        {"lock-free", "liburcu"}}));
  EXPECT_EQ(uses_of(SAMPLE_CONTAINERS_HIDDEN), uses) << "the file has them";
}

TEST(UnsupportedScan, FunctionsOfLibrariesAreKnownByTheImport) {
  const Uses wanted = {{"atomic-object", "__atomic_load"},
                       {"atomic-shared-pointer", "std::atomic_load(std::shared_ptr)"},
                       {"cancellation", "pthread_cancel"},
                       {"process-shared", "sem_open"},
                       {"raw-value", "syscall(SYS_getrandom)"},
                       {"robust-mutex", "pthread_mutexattr_setrobust"},
                       {"timed-future", "std::future::wait_for"},
                       {"timer", "setitimer"}};
  EXPECT_EQ(uses_of(SAMPLE_IMPORTS), wanted);
}

TEST(UnsupportedScan, WhatIsOrderedOrHarmlessIsNotTold) {
  EXPECT_EQ(uses_of(SAMPLE_CLEAN), Uses{});
  EXPECT_EQ(uses_of(SAMPLE_CLEAN_UNOPTIMISED), Uses{});
}

TEST(UnsupportedScan, AFileThatIsNoModuleChangesNothing) {
  markers::for_each_elf_module(
      [](const markers::ElfModule& module, void*) {
        if (std::string(module.name) != "libmeta_os_unit_test") return;
        scan_module(module, "/proc/self/maps", [](Unsupported, const char*, void*) {}, nullptr);
        scan_module(module, "/does/not/exist", [](Unsupported, const char*, void*) {}, nullptr);
        scan_module(module, __FILE__, [](Unsupported, const char*, void*) {}, nullptr);
      },
      nullptr);
}

}  // namespace
}  // namespace auxin::os
