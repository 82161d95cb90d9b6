// SPDX-License-Identifier: Apache-2.0
//
// What `auxin status` and `auxin locks` print: the JSON's keys, the tables, and that they answer
// whatever the group does.
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/tests/command_run.h"
#include "libmeta_os/counters.h"
#include "replication/supervisor/processes.h"
#include "tests/harness/kill_one.h"

namespace auxin::cli {
namespace {

using nlohmann::json;

class Status : public CommandTest {
 protected:
  json status_json(const std::string& name = "fake") {
    const Done done = auxin_done({"status", name, "--json", "--state-dir", root()});
    EXPECT_EQ(done.status, 0) << done.errors;
    return json::parse(done.output, nullptr, false);
  }

  // Changes the group's words, as a replica would.
  template <typename Change>
  void with_control(Change change) {
    auto opened = supervisor::GroupMemory::open(memory_path(), false);
    ASSERT_TRUE(opened) << opened.error();
    change(opened->control());
  }

  void end(Process& run) {
    run.signal(SIGTERM);
    EXPECT_EQ(run.wait(), 0);
  }
};

TEST_F(Status, JsonHasTheKeysThatUsersRelyOn) {
  Process run = run_fake();
  await_ready(run);
  with_control([](replication::GroupControl& control) {
    supervisor::store_text(control.facets, "synchronisation,descriptors");
    supervisor::store_text(control.unsupported[0].text, "a shared file");
    control.unsupported[0].used.store(2);
    control.replicas[1].compared.store(11);
    control.replicas[1].mismatches.store(1);
  });
  const json status = status_json();
  ASSERT_TRUE(status.is_object());
  EXPECT_EQ(status.at("schema"), 1);
  EXPECT_EQ(status.at("name"), "fake");
  EXPECT_EQ(status.at("style"), "semi-active");
  EXPECT_EQ(status.at("epoch"), 1);
  EXPECT_EQ(status.at("facets"), (json{"synchronisation", "descriptors"}));
  EXPECT_EQ(status.at("rejoin"), true);
  EXPECT_EQ(status.at("unsupported"), (json{"a shared file"}));
  EXPECT_EQ(status.at("supervisor_pid"), run.pid());
  for (const char* key : {"begin", "end", "bytes"}) EXPECT_TRUE(status.at("log").contains(key));
  for (const char* key : {"total", "intercepted", "ordered"}) {
    EXPECT_TRUE(status.at("locks").contains(key));
  }
  EXPECT_TRUE(status.at("requests").is_number());
  EXPECT_TRUE(status.at("promotions").empty());
  ASSERT_EQ(status.at("replicas").size(), 3u);
  int leaders = 0;
  for (int id = 0; id < 3; ++id) {
    const json& replica = status.at("replicas")[id];
    EXPECT_EQ(replica.at("id"), id);
    EXPECT_EQ(replica.at("pid"), pid_of(id));
    EXPECT_EQ(replica.at("lag"), 0);
    EXPECT_TRUE(replica.contains("position"));
    leaders += replica.at("role") == "leader" ? 1 : 0;
  }
  EXPECT_EQ(leaders, 1);
  EXPECT_EQ(status.at("replicas")[1].at("compared"), 11);
  EXPECT_EQ(status.at("replicas")[1].at("mismatches"), 1);
  end(run);
}

TEST_F(Status, WithoutANameIsAnArray) {
  const Done none = auxin_done({"status", "--json", "--state-dir", root()});
  EXPECT_EQ(json::parse(none.output), json::array());
  Process run = run_fake();
  await_ready(run);
  const Done one = auxin_done({"status", "--json", "--state-dir", root()});
  const json list = json::parse(one.output);
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].at("name"), "fake");
  EXPECT_EQ(auxin_done({"status", "--state-dir", root()}).status, 0);
  end(run);
}

TEST_F(Status, AnswersWhileReplicasComeAndGo) {
  Process run = run_fake();
  await_ready(run);
  for (int round = 0; round < 5; ++round) {
    const int leader = memory()->control().leader.load();
    const int old_pid = pid_of(leader);
    kill_one(old_pid, SIGKILL);
    ASSERT_EQ(status_json().at("replicas").size(), 3u);  // just now, whatever happens there
    ASSERT_TRUE(await([&] { return !supervisor::process_lives(old_pid); }));
    const json status = status_json();
    ASSERT_EQ(status.at("replicas").size(), 3u);
    for (const json& replica : status.at("replicas")) {
      EXPECT_NE(replica.at("pid"), old_pid) << "a dead process is not shown as alive";
    }
    ASSERT_TRUE(await_replacement(leader, old_pid)) << run.errors();
  }
  const json status = status_json();
  ASSERT_EQ(status.at("promotions").size(), 5u);
  const json& last = status.at("promotions")[4];
  EXPECT_EQ(last.at("epoch"), 6);
  EXPECT_EQ(last.at("detect_us"), 100);
  EXPECT_EQ(last.at("serve_us"), 1500);
  EXPECT_EQ(last.at("to"), memory()->control().leader.load());
  end(run);
}

TEST_F(Status, DoesNotWaitForAStoppedSupervisorOrReplica) {
  Process run = run_fake();
  await_ready(run);
  run.signal(SIGSTOP);
  const int leader_pid = pid_of(memory()->control().leader.load());
  kill_one(leader_pid, SIGSTOP);
  EXPECT_EQ(status_json().at("phase"), "running");
  kill_one(leader_pid, SIGCONT);
  run.signal(SIGCONT);
  end(run);
}

TEST_F(Status, ShowsADeadGroupAsDead) {
  Process run = run_fake();
  await_ready(run);
  run.signal(SIGSTOP);
  for (const auto& member : supervisor::members_of(memory_path())) kill_one(member.pid, SIGKILL);
  run.signal(SIGKILL);
  run.wait();
  ASSERT_TRUE(await([&] { return supervisor::members_of(memory_path()).empty(); }));
  const json status = status_json();
  EXPECT_EQ(status.at("supervisor_pid"), 0);
  for (const json& replica : status.at("replicas")) {
    EXPECT_EQ(replica.at("role"), "dead");
    EXPECT_EQ(replica.at("pid"), 0);
  }
  EXPECT_EQ(auxin_done({"stop", "fake", "--state-dir", root()}).status, 0);
}

TEST_F(Status, TableNamesEveryReplicaAndItsRole) {
  Process run = run_fake();
  await_ready(run);
  const Done done = auxin_done({"status", "fake", "--state-dir", root()});
  EXPECT_EQ(done.status, 0);
  for (const std::string& part :
       {std::string("fake  semi-active, running"), std::string("leader"), std::string("follower"),
        std::to_string(pid_of(0)), std::to_string(pid_of(2)), std::string("rejoin possible")}) {
    EXPECT_NE(done.output.find(part), std::string::npos) << part << "\n" << done.output;
  }
  end(run);
}

TEST_F(Status, WatchGoesOnUntilInterrupted) {
  Process run = run_fake();
  await_ready(run);
  Process watch = auxin({"status", "fake", "--watch", "--json", "--state-dir", root()});
  auto lines = [&] {
    const std::string text = watch.output();
    return std::count(text.begin(), text.end(), '\n');
  };
  ASSERT_TRUE(await([&] { return lines() >= 2; })) << watch.errors();
  watch.signal(SIGINT);
  EXPECT_EQ(watch.wait(), 0);
  const std::string text = watch.output();
  EXPECT_EQ(json::parse(text.substr(0, text.find('\n'))).at("name"), "fake");
  end(run);
}

TEST_F(Status, LocksAreSummedByLibraryAndJoinPoint) {
  Process run = run_fake();
  await_ready(run);
  with_control([](replication::GroupControl& control) {
    supervisor::store_text(control.classes[1].library, "libomniORB4.so.2");
    supervisor::store_text(control.classes[1].join_point, "dispatch");
    supervisor::store_text(control.classes[2].library, "libomniORB4.so.2");
    supervisor::store_text(control.classes[3].library, "bank_server");
    control.class_count.store(4);
    control.base_rows[1] = {10, 4, 0};
    control.leader_rows[1] = {5, 1, 0};
    control.leader_rows[2] = {100, 0, 0};
    control.leader_rows[3] = {20, 20, 20};
    control.requests.store(10);
  });
  // A fake leader records nothing, and that is said.
  const Done watched = auxin_done({"locks", "fake", "--json", "--state-dir", root()});
  ASSERT_EQ(watched.status, 0) << watched.errors;
  EXPECT_EQ(json::parse(watched.output).at("observed"), nullptr);
  EXPECT_NE(watched.output.find("did not begin a recording"), std::string::npos);
  const Done done =
      auxin_done({"locks", "fake", "--for", "0", "--json", "--state-dir", root()});
  ASSERT_EQ(done.status, 0) << done.errors;
  const json locks = json::parse(done.output);
  EXPECT_EQ(locks.at("total"), 135);
  EXPECT_EQ(locks.at("intercepted"), 25);
  EXPECT_EQ(locks.at("ordered"), 20);
  EXPECT_DOUBLE_EQ(locks.at("per_request").at("total"), 13.5);
  EXPECT_DOUBLE_EQ(locks.at("per_request").at("ordered"), 2.0);
  ASSERT_EQ(locks.at("by_library").size(), 2u);
  EXPECT_EQ(locks.at("by_library")[0].at("library"), "libomniORB4.so.2");
  EXPECT_EQ(locks.at("by_library")[0].at("total"), 115);
  ASSERT_EQ(locks.at("by_join_point").size(), 3u);
  const Done text = auxin_done({"locks", "fake", "--for", "0", "--state-dir", root()});
  EXPECT_NE(text.output.find("dispatch"), std::string::npos) << text.output;
  const json status = status_json();
  EXPECT_EQ(status.at("locks").at("total"), 135);
  end(run);
}

TEST_F(Status, LocksOfAProcessAreReadFromOutside) {
  const int fd = memfd_create("auxin-counters", MFD_CLOEXEC);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(ftruncate(fd, sizeof(os::CounterBlock)), 0);
  void* mapped = mmap(nullptr, sizeof(os::CounterBlock), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  close(fd);
  auto* block = static_cast<os::CounterBlock*>(mapped);
  block->magic = os::kCounterMagic;
  block->version = os::kCounterVersion;
  block->uses.add(os::Unsupported::kFutex, "a_library.so", "syscall(SYS_futex)");
  block->shard_count = os::kMaxShards;
  block->class_count.store(2);
  block->requests.store(4);
  strcpy(block->classes[1].library, "libc.so.6");
  block->shards[0].rows[1] = {6, 2, 1};
  block->shards[7].rows[1] = {2, 0, 0};
  block->shards[7].rows[0] = {1, 0, 0};
  const Done done = auxin_done({"locks", "--json", "--pid", std::to_string(getpid())});
  EXPECT_EQ(done.status, 0) << done.errors;
  const json locks = json::parse(done.output);
  EXPECT_EQ(locks.at("total"), 9);
  EXPECT_EQ(locks.at("ordered"), 1);
  EXPECT_EQ(locks.at("requests"), 4);
  EXPECT_EQ(locks.at("by_library")[0].at("library"), "libc.so.6");
  EXPECT_EQ(locks.at("unsupported_uses")[0].at("use"), "futex");
  EXPECT_EQ(locks.at("unsupported_uses")[0].at("module"), "a_library.so");
  block->version = 99;
  const Done other = auxin_done({"locks", "--pid", std::to_string(getpid())});
  EXPECT_EQ(other.status, 2);
  EXPECT_NE(other.errors.find("counts in another way"), std::string::npos) << other.errors;
  munmap(mapped, sizeof(os::CounterBlock));
}

TEST_F(Status, SaysWhatIsNotSupportedInWordsAndInParts) {
  Process run = run_fake();
  await_ready(run);
  with_control([&](replication::GroupControl& control) {
    supervisor::store_text(control.unsupported[0].text, "a sentence of the library's");
    control.unsupported[0].used.store(2);
    control.uses.add(os::Unsupported::kSignalHandler, "server", "SIGUSR1", 0);
    control.uses.add(os::Unsupported::kSignalHandler, "server", "SIGUSR1", 1);
    control.uses.add(static_cast<os::Unsupported>(4711), "server", "of a later version", 0);
    control.uses.add(os::Unsupported::kFile, "server", "/both", 0);
    control.uses.add(os::Unsupported::kFile, "server", "/both", 1);
    control.uses.add(os::Unsupported::kFile, "server", "/of-one", 1);
  });
  const json status = status_json();
  const json locks =
      json::parse(auxin_done({"locks", "fake", "--json", "--for", "0", "--state-dir", root()})
                      .output);
  for (const json& told : {status, locks}) {
    ASSERT_EQ(told.at("unsupported").size(), 2u) << told.dump(2);
    EXPECT_EQ(told.at("unsupported")[0], "a sentence of the library's");
    ASSERT_EQ(told.at("unsupported_uses").size(), 1u);
    const json& use = told.at("unsupported_uses")[0];
    EXPECT_EQ(use.at("use"), "signal-handler");
    EXPECT_EQ(use.at("module"), "server");
    EXPECT_EQ(use.at("symbol"), "SIGUSR1");
    for (const char* part : {"what", "means", "advice"}) {
      EXPECT_NE(told.at("unsupported")[1].get<std::string>().find(use.at(part)),
                std::string::npos);
    }
  }
  EXPECT_NE(status.at("shared_files").dump().find("\"/both\""), std::string::npos);
  EXPECT_EQ(status.at("shared_files").dump().find("of-one"), std::string::npos);
  const std::vector<std::vector<std::string>> commands = {
      {"status", "fake", "--state-dir", root()},
      {"locks", "fake", "--for", "0", "--state-dir", root()}};
  for (const auto& command : commands) {
    const std::string text = auxin_done(command).output;
    EXPECT_NE(text.find("unsupported: server handles a signal while it serves (SIGUSR1): when"),
              std::string::npos)
        << text;
  }
  end(run);
}

TEST_F(Status, HasWordsForEachKindOfUse) {
  Process run = run_fake();
  await_ready(run);
  with_control([&](replication::GroupControl& control) {
    for (uint16_t use = 1; use < os::kUnsupportedKinds; ++use) {
      control.uses.add(static_cast<os::Unsupported>(use), "server", "symbol", 0);
    }
  });
  const json status = status_json();
  std::set<std::string> said;
  for (const json& use : status.at("unsupported_uses")) {
    for (const char* part : {"use", "what", "means", "advice"}) {
      EXPECT_NE(use.at(part), "") << use.dump();
    }
    said.insert(use.at("what"));
  }
  // A file that one of several replicas opened is no news.
  EXPECT_EQ(said.size(), os::kUnsupportedKinds - 2u) << status.dump(2);
  end(run);
}

TEST_F(Status, NamesFilesThatSeveralReplicasWriteButNotAuxinsOwn) {
  std::filesystem::create_symlink(root(), path("link"));
  Process run = run_fake({"--move-output", "--write", path("shared")});
  await_ready(run);
  for (const std::string& directory : {root(), path("link")}) {
    const Done done = auxin_done({"status", "fake", "--json", "--state-dir", directory});
    ASSERT_EQ(done.status, 0) << done.errors;
    json own = json::array();  // others are what the test runner itself left open
    const json status = json::parse(done.output);
    for (const json& file : status.at("shared_files")) {
      if (file.get<std::string>().starts_with(path(""))) own.push_back(file);
    }
    EXPECT_EQ(own, json{path("shared")}) << directory;
  }
  end(run);
}

TEST_F(Status, ForeignFilesInTheStateRootDoNotHideGroups) {
  std::filesystem::create_directory(root() + "/other");
  write_file(root() + "/other/memory", "nonsense");
  Process run = run_fake();
  await_ready(run);
  const Done done = auxin_done({"status", "--json", "--state-dir", root()});
  EXPECT_EQ(json::parse(done.output).size(), 1u);
  const Done named = auxin_done({"status", "other", "--state-dir", root()});
  EXPECT_EQ(named.status, 2);
  end(run);
}

}  // namespace
}  // namespace auxin::cli
