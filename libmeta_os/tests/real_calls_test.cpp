// SPDX-License-Identifier: Apache-2.0
#include "libmeta_os/real_calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <gtest/gtest.h>
#include <string.h>

namespace auxin::os {
namespace {

TEST(RealCalls, TheFirstCallResolvesItselfAndKeepsErrno) {
  errno = ENOTTY;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  EXPECT_EQ(real().pthread_mutex_lock(&mutex), 0);
  EXPECT_EQ(errno, ENOTTY);
  EXPECT_EQ(real().pthread_mutex_trylock(&mutex), EBUSY);
}

TEST(RealCalls, EveryRowIsFound) { EXPECT_EQ(resolve_real_calls(), nullptr); }

TEST(RealCalls, EveryRowLeadsToTheLibraryThatHasIt) {
  resolve_real_calls();
  int rows = 0;
#define AUXIN_LIST_CALL(family, facet, result, name, parameters, note)
#define AUXIN_LEFT(family, name, reason)
#define AUXIN_CALL(family, facet, result, name, parameters, version, note)                     \
  {                                                                                            \
    Dl_info info{};                                                                            \
    ASSERT_NE(dladdr(reinterpret_cast<void*>(real().name), &info), 0) << #name;                \
    const bool known = strstr(info.dli_fname, "libc.so.6") != nullptr ||                       \
                       strstr(info.dli_fname, "libstdc++.so.6") != nullptr ||                  \
                       strstr(info.dli_fname, "vdso") != nullptr;                              \
    EXPECT_TRUE(known) << #name << " is in " << info.dli_fname;                                \
    ++rows;                                                                                    \
  }
#include "libmeta_os/hook_table.def"
#undef AUXIN_CALL
#undef AUXIN_LIST_CALL
#undef AUXIN_LEFT
  EXPECT_GT(rows, 150);
}

TEST(RealCalls, ConditionsAreOfTheNewVersion) {
  resolve_real_calls();
  EXPECT_EQ(reinterpret_cast<void*>(real().pthread_cond_wait),
            dlvsym(RTLD_NEXT, "pthread_cond_wait", "GLIBC_2.3.2"));
  EXPECT_NE(reinterpret_cast<void*>(real().pthread_cond_wait),
            dlvsym(RTLD_NEXT, "pthread_cond_wait", "GLIBC_2.2.5"));
}

}  // namespace
}  // namespace auxin::os
