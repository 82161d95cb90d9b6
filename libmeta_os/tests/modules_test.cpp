// SPDX-License-Identifier: Apache-2.0
#include "libmeta_os/modules.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

namespace auxin::os {
namespace {

int a_function() { return 1; }

TEST(Modules, TheProgramAndItsLibrariesAreFoundByAddress) {
  const Module* const program = module_of(reinterpret_cast<const void*>(&a_function));
  ASSERT_NE(program, nullptr);
  EXPECT_TRUE(program->executable);
  EXPECT_STREQ(program->name, "libmeta_os_unit_test");
  const Module* const libc = module_of(dlsym(RTLD_DEFAULT, "qsort"));
  ASSERT_NE(libc, nullptr);
  EXPECT_STREQ(libc->name, "libc.so.6");
  EXPECT_FALSE(libc->executable);
  EXPECT_EQ(libc->path[0], '/');
}

TEST(Modules, DataStackAndNullAreInNone) {
  int local = 0;
  EXPECT_EQ(module_of(&local), nullptr);
  EXPECT_EQ(module_of(nullptr), nullptr);
  EXPECT_EQ(module_of(reinterpret_cast<const void*>(~uintptr_t{0})), nullptr);
}

TEST(Modules, ALoadedLibraryIsSeenAfterARefresh) {
  for_each_module([](const Module&, void*) {}, nullptr);  // there is a snapshot
  EXPECT_EQ(modules_added(), modules_added_at_snapshot());
  void* const library = dlopen("libanl.so.1", RTLD_NOW);
  if (library == nullptr) GTEST_SKIP() << dlerror();
  EXPECT_NE(modules_added(), modules_added_at_snapshot());
  refresh_modules();
  EXPECT_EQ(modules_added(), modules_added_at_snapshot());
  bool found = false;
  for_each_module(
      [](const Module& module, void* out) {
        if (std::string(module.name) == "libanl.so.1") *static_cast<bool*>(out) = true;
      },
      &found);
  EXPECT_TRUE(found);
}

TEST(Modules, ExtentsAreSortedAndApart) {
  struct Check {
    uintptr_t end = 0;
    int count = 0;
  } check;
  for_each_module(
      [](const Module& module, void* out) {
        auto& last = *static_cast<Check*>(out);
        EXPECT_GE(module.begin, last.end);
        EXPECT_GT(module.end, module.begin);
        EXPECT_GE(module.begin, module.base);
        last.end = module.end;
        ++last.count;
      },
      &check);
  EXPECT_GE(check.count, 3);
}

}  // namespace
}  // namespace auxin::os
