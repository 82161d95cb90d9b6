// SPDX-License-Identifier: Apache-2.0
//
// For the tests of a group's life: ending all of it at once, and what must not be left.
#pragma once

#include <signal.h>

#include <filesystem>

#include "cli/tests/command_run.h"
#include "replication/supervisor/processes.h"
#include "tests/harness/kill_one.h"

namespace auxin::cli {

namespace fs = std::filesystem;

class RunLife : public CommandTest {
 protected:
  void expect_nothing_left() {
    EXPECT_FALSE(fs::exists(root() + "/fake"));
    EXPECT_FALSE(fs::exists(ready_file()));
    for (const std::string& memory : supervisor::memories_in_use()) {
      EXPECT_FALSE(memory.starts_with(root())) << "a process was left";
    }
  }

  // SIGKILL to the supervisor and all replicas; stopped first, so that nobody reacts.
  void kill_everything(Process& run) {
    run.signal(SIGSTOP);
    const auto members = supervisor::members_of(memory_path());
    for (const auto& member : members) kill_one(member.pid, SIGKILL);
    run.signal(SIGKILL);
    run.wait();
    ASSERT_TRUE(await([&] { return supervisor::members_of(memory_path()).empty(); }));
  }

  void append_entries(uint64_t count) {
    const int leader = memory()->control().leader.load();
    for (uint64_t i = 1; i <= count; ++i) {
      kill_one(pid_of(leader), SIGUSR1);
      ASSERT_TRUE(await([&] { return memory()->log().end() >= i; }));
    }
  }
};

}  // namespace auxin::cli
