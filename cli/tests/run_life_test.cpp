// SPDX-License-Identifier: Apache-2.0
//
// The life of a group under `auxin run` and `auxin stop`, with servers that play replicas: start,
// restarts, and every way to end.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "cli/tests/run_life.h"
#include "replication/activity.h"
#include "replication/supervisor/sentence.h"
#include "tests/harness/kill_one.h"

namespace auxin::cli {
namespace {

using replication::GroupPhase;

TEST_F(RunLife, ReadyFileAppearsAndAnOrderlyEndLeavesNothing) {
  Process run = run_fake({"--exit-status", "7"});
  await_ready(run);
  EXPECT_EQ(supervisor::members_of(memory_path()).size(), 3u);
  for (int id = 0; id < 3; ++id) EXPECT_EQ(incarnation_of(id), 1u);
  struct stat status;
  ASSERT_EQ(stat((root() + "/fake").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  ASSERT_EQ(stat(memory_path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 7);
  expect_nothing_left();
  EXPECT_NE(run.errors().find("3 replicas ready"), std::string::npos);
  EXPECT_EQ(run.output(), "");
}

TEST_F(RunLife, StateRootThatWasMadeGoesAtTheEnd) {
  rmdir(root().c_str());
  Process run = run_fake();
  await_ready(run);
  run.signal(SIGINT);
  EXPECT_EQ(run.wait(), 0);
  EXPECT_FALSE(fs::exists(root()));
}

TEST_F(RunLife, StaleReadyFileIsRemovedAtTheStart) {
  write_file(ready_file(), "1\n");
  Process run = run_fake({"--never-ready"});
  ASSERT_TRUE(await([&] { return pid_of(2) != 0; })) << run.errors();
  EXPECT_FALSE(fs::exists(ready_file()));
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 0);
  expect_nothing_left();
}

TEST_F(RunLife, ServerWithoutASignalHandlerEndsBySignal) {
  Process run = run_fake({"--default-signals"});
  await_ready(run);
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 128 + SIGTERM);
  expect_nothing_left();
}

TEST_F(RunLife, HangUpAndQuitEndTheGroupInAnOrderlyWay) {
  for (const int signal : {SIGHUP, SIGQUIT}) {
    Process run = run_fake({"--default-signals"});
    await_ready(run);
    run.signal(signal);
    EXPECT_EQ(run.wait(), 128 + signal);
    expect_nothing_left();
  }
}

TEST_F(RunLife, HangUpThatIsIgnoredAtTheStartStaysIgnored) {
  Process run({"/bin/sh", "-c", "trap '' HUP; exec \"$@\"", "sh", AUXIN_COMMAND, "run", "--name",
               "fake", "--state-dir", root(), "--config", path("small.toml"), "--ready-file",
               ready_file(), "--verbose", "--", fake_replica_path()},
              path("nohup"), {{"AUXIN_LIBRARY", AUXIN_EMPTY_LIBRARY},
                              {"AUXIN_MAPS", AUXIN_TEST_MAPS}});
  await_ready(run);
  run.signal(SIGHUP);
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 0);
  EXPECT_EQ(run.errors().find("SIGHUP"), std::string::npos) << run.errors();
  expect_nothing_left();
}

TEST_F(RunLife, SignalsThatMeanNothingToASupervisorAreIgnored) {
  Process run = run_fake({}, {"--verbose"});
  await_ready(run);
  for (const int signal : {SIGUSR1, SIGUSR2, SIGALRM}) {
    const std::string told = "got " + supervisor::signal_name(signal) + ": ignored";
    run.signal(signal);
    ASSERT_TRUE(await([&] { return run.ended() || run.errors().find(told) != std::string::npos; }))
        << run.errors();
    ASSERT_FALSE(run.ended()) << told;
  }
  EXPECT_EQ(memory()->log().end(), 0u) << "the leader got none";
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 0);
  expect_nothing_left();
}

TEST_F(RunLife, QuietSaysNothing) {
  Process run = run_fake({}, {"--quiet"});
  await_ready(run);
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 0);
  EXPECT_EQ(run.errors(), "");
}

TEST_F(RunLife, DeadFollowerIsStartedAgain) {
  Process run = run_fake();
  await_ready(run);
  const int leader = memory()->control().leader.load();
  const int follower = (leader + 1) % 3;
  const int old_pid = pid_of(follower);
  kill_one(old_pid, SIGKILL);
  ASSERT_TRUE(await_replacement(follower, old_pid)) << run.errors();
  EXPECT_EQ(incarnation_of(follower), 2u);
  EXPECT_EQ(memory()->control().leader.load(), leader);
  EXPECT_EQ(memory()->control().replicas[follower].wait_status.load(), 0);
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 0);
  EXPECT_NE(run.errors().find("was killed by SIGKILL"), std::string::npos) << run.errors();
}

TEST_F(RunLife, DeadLeaderIsReplacedAndStartedAgain) {
  Process run = run_fake();
  await_ready(run);
  for (int round = 0; round < 3; ++round) {
    const int leader = memory()->control().leader.load();
    const int old_pid = pid_of(leader);
    kill_one(old_pid, SIGKILL);
    ASSERT_TRUE(await_replacement(leader, old_pid)) << run.errors();
    ASSERT_TRUE(await([&] { return memory()->control().leader.load() != leader; }));
  }
  EXPECT_EQ(memory()->control().promotion_count.load(), 3u);
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 0);
  EXPECT_NE(run.errors().find("leads now (epoch 4"), std::string::npos) << run.errors();
  expect_nothing_left();
}

TEST_F(RunLife, AllReplicasKilledAtOnceAreStartedAgain) {
  Process run = run_fake();
  await_ready(run);
  append_entries(3);
  int pids[3];
  for (int id = 0; id < 3; ++id) pids[id] = pid_of(id);
  for (const int pid : pids) kill_one(pid, SIGKILL);
  for (int id = 0; id < 3; ++id) ASSERT_TRUE(await_replacement(id, pids[id])) << run.errors();
  EXPECT_EQ(memory()->log().end(), 3u);
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 0);
  expect_nothing_left();
}

TEST_F(RunLife, ServerThatEndsBeforeItIsReadyGivesItsStatus) {
  Process run = auxin({"run", "--state-dir", root(), "--name", "fake", "--config",
                       path("small.toml"), "--ready-file", ready_file(), "--", "/bin/sh", "-c",
                       "echo the port is in use >&2; exit 5"});
  EXPECT_EQ(run.wait(), 5);
  const std::string errors = run.errors();
  EXPECT_TRUE(errors.starts_with("the port is in use\nauxin: ")) << errors;
  EXPECT_NE(errors.find("exited with status 5 before it was ready"), std::string::npos) << errors;
  EXPECT_EQ(std::count(errors.begin(), errors.end(), '\n'), 2) << errors;
  expect_nothing_left();
}

TEST_F(RunLife, ServerThatCrashesBeforeItIsReadyGivesItsSignal) {
  Process run = auxin({"run", "--state-dir", root(), "--name", "fake", "--config",
                       path("small.toml"), "--", "/bin/sh", "-c", "kill -SEGV $$"});
  EXPECT_EQ(run.wait(), 128 + SIGSEGV);
  expect_nothing_left();
}

TEST_F(RunLife, StyleNoneIsOneSupervisedProcess) {
  Process run = run_fake({"--exit-status", "9"}, {"--style", "none"});
  await_ready(run);
  EXPECT_EQ(supervisor::members_of(memory_path()).size(), 1u);
  const int old_pid = pid_of(0);
  kill_one(old_pid, SIGKILL);
  ASSERT_TRUE(await_replacement(0, old_pid)) << run.errors();
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 9);
  expect_nothing_left();
}

TEST_F(RunLife, ArgumentsAndStandardInputReachAPlainProgram) {
  Process run = auxin({"run", "--state-dir", root(), "--name", "fake", "--replicas", "1",
                       "--config", path("small.toml"), "--", "/bin/sh", "-c",
                       "echo \"$1 $AUXIN_REPLICA\"; "
                       "case $LD_PRELOAD in *" AUXIN_EMPTY_LIBRARY "*) echo preloaded;; esac; "
                       "echo $(( $(cut -d' ' -f5 /proc/$$/stat) == $$ )); "
                       "grep -c 00040000 /proc/$$/personality; exit 0",
                       "sh", "a b {replica}"});
  EXPECT_EQ(run.wait(), 0) << run.errors();
  EXPECT_EQ(run.output(), "a b 0 0\npreloaded\n1\n1\n");
}

TEST_F(RunLife, ServerBehindAWrapperIsSupervisedByItsOwnPid) {
  Process run = auxin({"run", "--state-dir", root(), "--name", "fake", "--config",
                       path("small.toml"), "--ready-file", ready_file(), "--", "/bin/sh", "-c",
                       fake_replica_path() + " --exit-status 4; exit $?"});
  await_ready(run);
  const int leader = memory()->control().leader.load();
  const int old_pid = pid_of(leader);
  EXPECT_NE(memory()->control().replicas[leader].child_pid.load(), static_cast<uint32_t>(old_pid));
  // The shell ends with status 137 of its own accord: still a crash, not an orderly end.
  kill_one(old_pid, SIGKILL);
  ASSERT_TRUE(await_replacement(leader, old_pid)) << run.errors();
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 4);
  expect_nothing_left();
}

TEST_F(RunLife, SecondGroupOfOneNameIsRefused) {
  Process first = run_fake();
  await_ready(first);
  Process second = run_fake();
  EXPECT_EQ(second.wait(), 2);
  EXPECT_NE(second.errors().find("supervised by another `auxin run` (pid " +
                                 std::to_string(first.pid()) + ")"),
            std::string::npos)
      << second.errors();
  EXPECT_EQ(read_file(ready_file()), std::to_string(first.pid()) + "\n");
  EXPECT_FALSE(first.ended());
  first.signal(SIGTERM);
  EXPECT_EQ(first.wait(), 0);
}

TEST_F(RunLife, AnotherCommandIsRefusedByARunningGroup) {
  Process first = run_fake();
  await_ready(first);
  first.signal(SIGKILL);
  first.wait();
  Process other = run_fake({"--exit-status", "1"});
  EXPECT_EQ(other.wait(), 2);
  EXPECT_NE(other.errors().find("another command"), std::string::npos) << other.errors();
  Process fewer = run_fake({}, {"--replicas", "2"});
  EXPECT_EQ(fewer.wait(), 2);
  EXPECT_NE(fewer.errors().find("runs with 3 replicas"), std::string::npos) << fewer.errors();
  EXPECT_EQ(supervisor::members_of(memory_path()).size(), 3u);
  EXPECT_EQ(auxin_done({"stop", "fake", "--state-dir", root()}).status, 0);
}

TEST_F(RunLife, PoisonedRequestStopsTheGroupAndIsNamed) {
  const uint64_t activity = replication::request_activity_id(12, 3);
  Process run = run_fake({"--request", std::to_string(activity)});
  await_ready(run);
  const int first = memory()->control().leader.load();
  kill_one(pid_of(first), SIGSEGV);
  ASSERT_TRUE(await([&] { return memory()->control().leader.load() != first; }));
  kill_one(pid_of(memory()->control().leader.load()), SIGABRT);
  EXPECT_EQ(run.wait(), 1);
  EXPECT_NE(run.errors().find("request 77 on connection 12 (log position 5) killed replica"),
            std::string::npos)
      << run.errors();
  EXPECT_TRUE(supervisor::members_of(memory_path()).empty());
  EXPECT_FALSE(fs::exists(ready_file()));
  EXPECT_EQ(memory()->control().phase.load(), GroupPhase::kStopped);

  // The next start says so, instead of running into it again.
  Process again = run_fake({"--request", std::to_string(activity)});
  EXPECT_EQ(again.wait(), 2);
  EXPECT_NE(again.errors().find("was stopped: request 77"), std::string::npos) << again.errors();
  EXPECT_EQ(auxin_done({"stop", "fake", "--state-dir", root()}).status, 0);
  expect_nothing_left();
}

TEST_F(RunLife, CrashesInDifferentRequestsAreNoPoison) {
  Process run = run_fake();  // no request in hand
  await_ready(run);
  for (int round = 0; round < 2; ++round) {
    const int leader = memory()->control().leader.load();
    const int old_pid = pid_of(leader);
    kill_one(old_pid, SIGSEGV);
    ASSERT_TRUE(await_replacement(leader, old_pid)) << run.errors();
  }
  EXPECT_FALSE(run.ended());
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 0);
}

TEST_F(RunLife, StopEndsASupervisedGroup) {
  Process run = run_fake({"--exit-status", "3"});
  await_ready(run);
  const Done done = auxin_done({"stop", "fake", "--state-dir", root()});
  EXPECT_EQ(done.status, 0) << done.errors;
  EXPECT_EQ(run.wait(), 3);
  expect_nothing_left();
}

TEST_F(RunLife, StopEndsAnOrphanedGroup) {
  Process run = run_fake();
  await_ready(run);
  run.signal(SIGKILL);
  run.wait();
  EXPECT_TRUE(fs::exists(ready_file()));
  const Done done = auxin_done({"stop", "fake", "--state-dir", root()});
  EXPECT_EQ(done.status, 0) << done.errors;
  EXPECT_EQ(done.errors, "");
  expect_nothing_left();
}

TEST_F(RunLife, StopFindsAGroupWhereverItsStateIs) {
  const std::string name = "fake-" + std::to_string(getpid());  // nobody else's
  Process run = auxin({"run", "--name", name, "--state-dir", root(), "--config",
                       path("small.toml"), "--ready-file", ready_file(), "--",
                       fake_replica_path()});
  await_ready(run);
  const Done seen = auxin_done({"status", name, "--json"});
  EXPECT_EQ(seen.status, 0) << seen.errors;
  EXPECT_EQ(auxin_done({"stop", name}).status, 0);
  EXPECT_EQ(run.wait(), 0);
}

TEST_F(RunLife, StopKillsAServerThatDoesNotEnd) {
  Process supervised = run_fake({"--ignore-signals"});
  await_ready(supervised);
  Done done = auxin_done({"stop", "fake", "--state-dir", root(), "--timeout", "0.2"});
  EXPECT_EQ(done.status, 0) << done.errors;
  supervised.wait();
  expect_nothing_left();

  Process orphaned = run_fake({"--ignore-signals"});
  await_ready(orphaned);
  orphaned.signal(SIGKILL);
  orphaned.wait();
  done = auxin_done({"stop", "fake", "--state-dir", root(), "--timeout", "0.2"});
  EXPECT_EQ(done.status, 0) << done.errors;
  expect_nothing_left();
}

TEST_F(RunLife, StopRemovesWhatADeadGroupLeft) {
  Process run = run_fake();
  await_ready(run);
  kill_everything(run);
  EXPECT_EQ(auxin_done({"stop", "fake", "--state-dir", root()}).status, 0);
  expect_nothing_left();
}

TEST_F(RunLife, ReplicasSurviveTheirSupervisor) {
  Process run = run_fake();
  await_ready(run);
  run.signal(SIGKILL);
  run.wait();
  const uint64_t before = memory()->log().end();
  kill_one(pid_of(memory()->control().leader.load()), SIGUSR1);
  EXPECT_TRUE(await([&] { return memory()->log().end() == before + 1; }));
  EXPECT_EQ(supervisor::members_of(memory_path()).size(), 3u);
  EXPECT_EQ(auxin_done({"stop", "fake", "--state-dir", root()}).status, 0);
}

TEST_F(RunLife, ServerFromTheConfigurationFile) {
  write_file(path("all.toml"), "name = \"fake\"\nreplicas = 2\nstate_dir = \"" + root() +
                                   "\"\nready_file = \"" + ready_file() + "\"\nserver = [\"" +
                                   fake_replica_path() +
                                   "\", \"--exit-status\", \"8\"]\nverbosity = \"verbose\"\n"
                                   "[log]\nentries = 4096\npayload = \"1MiB\"\n");
  Process run = auxin({"run", "--config", path("all.toml")});
  await_ready(run);
  EXPECT_EQ(supervisor::members_of(memory_path()).size(), 2u);
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 8);
  EXPECT_NE(run.errors().find("replica 1 started"), std::string::npos);
}

}  // namespace
}  // namespace auxin::cli
