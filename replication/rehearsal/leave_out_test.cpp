// SPDX-License-Identifier: Apache-2.0
#include "replication/rehearsal/leave_out.h"

#include <gtest/gtest.h>
#include <string.h>

namespace auxin::replication {
namespace {

os::Module module_named(const char* name) {
  os::Module module{};
  strncpy(module.name, name, sizeof module.name - 1);
  module.base = 0x400000;
  return module;
}

const void* at(uintptr_t address) { return reinterpret_cast<const void*>(address); }

TEST(LeaveOut, KnowsSitesByLibraryAndOffset) {
  leave_out("server+0x1234,libstdc++.so.6+0xabc");
  const os::Module server = module_named("server"), library = module_named("libstdc++.so.6");
  EXPECT_TRUE(is_left_out(&server, at(0x401234)));
  EXPECT_TRUE(is_left_out(&library, at(0x400abc)));
  EXPECT_FALSE(is_left_out(&server, at(0x401235)));
  EXPECT_FALSE(is_left_out(&server, at(0x400abc)));
  EXPECT_FALSE(is_left_out(nullptr, at(0x401234)));
}

TEST(LeaveOut, KnowsWhetherJoinPointsAreMeant) {
  leave_out("server+0x1234,join-points");
  EXPECT_TRUE(join_points_are_left_out());
  leave_out("join-points+0x12");
  EXPECT_FALSE(join_points_are_left_out());
}

TEST(LeaveOut, SkipsWhatIsNoSite) {
  leave_out("server,+0x12,,server+12,server+0x34");
  const os::Module server = module_named("server");
  EXPECT_TRUE(is_left_out(&server, at(0x400034)));
  EXPECT_FALSE(is_left_out(&server, at(0x400012)));
  EXPECT_FALSE(is_left_out(&server, at(0x400000)));
}

}  // namespace
}  // namespace auxin::replication
