// SPDX-License-Identifier: Apache-2.0
//
// A group that an earlier `auxin run` left: adopted, resumed, given up or refused.
#include <signal.h>

#include <algorithm>

#include "cli/tests/run_life.h"
#include "tests/harness/kill_one.h"

namespace auxin::cli {
namespace {


class RunResume : public RunLife {};

TEST_F(RunResume, RunningGroupIsAdoptedAfterItsSupervisorsDeath) {
  Process first = run_fake({"--exit-status", "6"});
  await_ready(first);
  int pids[3];
  for (int id = 0; id < 3; ++id) pids[id] = pid_of(id);
  first.signal(SIGKILL);
  first.wait();

  Process second = run_fake({"--exit-status", "6"});
  await_ready(second);
  for (int id = 0; id < 3; ++id) EXPECT_EQ(pid_of(id), pids[id]) << second.errors();
  EXPECT_EQ(memory()->control().supervisor_pid.load(), second.pid());

  // A replica that is not its child is watched and replaced all the same.
  const int leader = memory()->control().leader.load();
  kill_one(pids[leader], SIGKILL);
  ASSERT_TRUE(await_replacement(leader, pids[leader])) << second.errors();
  second.signal(SIGTERM);
  EXPECT_EQ(second.wait(), 6) << second.errors();
  expect_nothing_left();
}

TEST_F(RunResume, ReplicaThatDiedWithoutASupervisorIsStartedByTheNext) {
  Process first = run_fake();
  await_ready(first);
  const int follower = (memory()->control().leader.load() + 1) % 3;
  const int old_pid = pid_of(follower);
  first.signal(SIGKILL);
  first.wait();
  kill_one(old_pid, SIGKILL);
  ASSERT_TRUE(await([&] { return !supervisor::process_lives(old_pid); }));
  Process second = run_fake();
  ASSERT_TRUE(await_replacement(follower, old_pid)) << second.errors();
  second.signal(SIGTERM);
  EXPECT_EQ(second.wait(), 0);
}

TEST_F(RunResume, GroupIsResumedAfterAnUncleanEnd) {
  Process first = run_fake();
  await_ready(first);
  append_entries(5);
  kill_everything(first);

  Process second = run_fake();
  await_ready(second);
  EXPECT_EQ(memory()->log().end(), 5u);
  for (int id = 0; id < 3; ++id) EXPECT_EQ(incarnation_of(id), 2u);
  second.signal(SIGTERM);
  EXPECT_EQ(second.wait(), 0);
  EXPECT_NE(second.errors().find("resuming from a log of 5 entries"), std::string::npos);
  expect_nothing_left();

  // After the orderly end it starts anew.
  Process third = run_fake();
  await_ready(third);
  EXPECT_EQ(memory()->log().end(), 0u);
  EXPECT_EQ(incarnation_of(0), 1u);
  third.signal(SIGTERM);
  EXPECT_EQ(third.wait(), 0);
}

TEST_F(RunResume, KeepersThatOutliveTheGroupAreNoGroup) {
  Process first = run_fake({"--keeper"});
  await_ready(first);
  append_entries(2);
  auto keepers = [&] {
    std::vector<int> pids;
    for (const auto& member : supervisor::members_of(memory_path())) {
      if (member.keeper) pids.push_back(member.pid);
    }
    return pids;
  };
  ASSERT_TRUE(await([&] { return keepers().size() == 3; }));
  const std::vector<int> old_keepers = keepers();
  first.signal(SIGKILL);
  first.wait();
  for (const auto& member : supervisor::members_of(memory_path())) {
    if (!member.keeper) kill_one(member.pid, SIGKILL);
  }
  ASSERT_TRUE(await([&] {
    return !supervisor::replicas_live(supervisor::members_of(memory_path()));
  }));
  Process second = run_fake({"--keeper"});
  await_ready(second);
  EXPECT_NE(second.errors().find("resuming from a log of 2 entries"), std::string::npos)
      << second.errors();
  for (const int pid : old_keepers) EXPECT_FALSE(supervisor::process_lives(pid));
  second.signal(SIGTERM);
  EXPECT_EQ(second.wait(), 0);
  expect_nothing_left();
}

TEST_F(RunResume, FreshGivesUpAnUncleanGroup) {
  Process first = run_fake();
  await_ready(first);
  append_entries(2);
  kill_everything(first);
  Process second = run_fake({}, {"--fresh"});
  await_ready(second);
  EXPECT_EQ(memory()->log().end(), 0u);
  second.signal(SIGTERM);
  EXPECT_EQ(second.wait(), 0);
}

TEST_F(RunResume, FreshReplacesAnOrphanedGroup) {
  Process first = run_fake();
  await_ready(first);
  const int old_pid = pid_of(0);
  first.signal(SIGKILL);
  first.wait();
  Process second = run_fake({}, {"--fresh"});
  await_ready(second);
  EXPECT_FALSE(supervisor::process_lives(old_pid));
  EXPECT_EQ(supervisor::members_of(memory_path()).size(), 3u);
  second.signal(SIGTERM);
  EXPECT_EQ(second.wait(), 0);
}

TEST_F(RunResume, LogWithoutItsBeginIsNotResumed) {
  Process first = run_fake();
  await_ready(first);
  append_entries(5);
  kill_everything(first);
  {
    auto opened = stm::StableMemory::open(memory_path(), replication::kControlVersion);
    ASSERT_TRUE(opened) << opened.error();
    stm::StableLog log(*opened);
    log.release(2, 0);
  }
  Process second = run_fake();
  EXPECT_EQ(second.wait(), 2);
  EXPECT_NE(second.errors().find("no longer reaches back to its start"), std::string::npos);
  EXPECT_NE(second.errors().find("--fresh"), std::string::npos);
  EXPECT_EQ(memory()->log().end(), 5u) << "nothing is lost";
  Process third = run_fake({}, {"--fresh"});
  await_ready(third);
  third.signal(SIGTERM);
  EXPECT_EQ(third.wait(), 0);
}

TEST_F(RunResume, DamagedMemoryIsRefusedAndKept) {
  Process first = run_fake();
  await_ready(first);
  kill_everything(first);
  fs::resize_file(memory_path(), 1 << 20);
  Process second = run_fake();
  EXPECT_EQ(second.wait(), 2);
  EXPECT_NE(second.errors().find(memory_path()), std::string::npos) << second.errors();
  EXPECT_NE(second.errors().find("--fresh"), std::string::npos) << second.errors();
  EXPECT_EQ(fs::file_size(memory_path()), 1u << 20);
  Process third = run_fake({}, {"--fresh"});
  await_ready(third);
  third.signal(SIGTERM);
  EXPECT_EQ(third.wait(), 0);
}

TEST_F(RunResume, DamagedLogEntryIsRefusedBeforeAnyReplicaStarts) {
  Process first = run_fake();
  await_ready(first);
  append_entries(5);
  kill_everything(first);
  {
    auto opened = supervisor::GroupMemory::open(memory_path(), false);
    ASSERT_TRUE(opened) << opened.error();
    static_cast<char*>(opened->memory().entries())[2 * 64 + 30] ^= 0x10;
  }
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{}, std::vector<std::string>{"--resume"}}) {
    Process second = run_fake({}, options);
    EXPECT_EQ(second.wait(), 2);
    const std::string said = second.errors();
    for (const std::string& part :
         {memory_path(), std::string("entry 2 of the log"), std::string("--fresh")}) {
      EXPECT_NE(said.find(part), std::string::npos) << part << " is not in: " << said;
    }
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
    EXPECT_EQ(memory()->log().end(), 5u);
    EXPECT_EQ(incarnation_of(0), 1u);
  }
  Process third = run_fake({}, {"--fresh"});
  await_ready(third);
  third.signal(SIGTERM);
  EXPECT_EQ(third.wait(), 0);
}

TEST_F(RunResume, ReplicaPathsArePutBackBeforeAReplicaReplays) {
  const std::string data = path("data");
  fs::create_directories(data + "/0");
  fs::create_directories(data + "/1");
  write_file(data + "/1/seed", "as it was");
  fs::create_directories(data + "/2");
  Process run = run_fake({"--journal", data + "/{replica}/journal"});
  await_ready(run);
  for (int id = 0; id < 3; ++id) {
    EXPECT_EQ(read_file(data + "/" + std::to_string(id) + "/journal"), "started\n");
  }
  write_file(data + "/1/seed", "changed");
  const int old_pid = pid_of(1);
  kill_one(old_pid, SIGKILL);
  ASSERT_TRUE(await_replacement(1, old_pid)) << run.errors();
  EXPECT_EQ(read_file(data + "/1/seed"), "as it was");
  EXPECT_EQ(read_file(data + "/1/journal"), "started\n") << "written once since the start";
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 0);
  EXPECT_EQ(read_file(data + "/0/journal"), "started\n") << "an orderly end keeps the data";
}

}  // namespace
}  // namespace auxin::cli
