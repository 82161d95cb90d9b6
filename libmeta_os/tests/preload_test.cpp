// SPDX-License-Identifier: Apache-2.0
//
// Goal: no program can tell that the hooks are there. Method: each small program (programs/) and a
// few stock ones run plain and then preloaded in every mode; output and status must be the same.
// And what the hooks leave behind (counts, tags) is what the contract says.
#include <gtest/gtest.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "libmeta_os/counters.h"
#include "libmeta_os/mutex_tag.h"

namespace auxin::os {
namespace {

struct Mode {
  const char* name;
  const char* environment;
};

const Mode kModes[] = {
    {"passing", "LD_PRELOAD=" PASSING_LIBRARY},
    {"restored", "AUXIN_TEST_RESTORED=on LD_PRELOAD=" PASSING_LIBRARY},
    {"none_selected", "LD_PRELOAD=" REIFYING_LIBRARY},
    {"all_selected", "AUXIN_TEST_SELECT=all LD_PRELOAD=" REIFYING_LIBRARY},
    {"sockets_reified", "AUXIN_TEST_SOCKETS=reify LD_PRELOAD=" REIFYING_LIBRARY},
    {"all_reified", "AUXIN_TEST_SELECT=all AUXIN_TEST_SOCKETS=reify LD_PRELOAD=" REIFYING_LIBRARY},
    {"observed", "AUXIN_TEST_OBSERVE=on LD_PRELOAD=" REIFYING_LIBRARY},
    {"all_observed",
     "AUXIN_TEST_OBSERVE=on AUXIN_TEST_SELECT=all AUXIN_TEST_SOCKETS=reify LD_PRELOAD="
     REIFYING_LIBRARY},
};

// Output (standard output and error) and exit status of a shell command, which gets 60 s.
std::string outcome(const std::string& environment, const std::string& command) {
  const std::string whole = "timeout 60 env " + environment + " " + command + " 2>&1 </dev/null";
  FILE* const pipe = popen(whole.c_str(), "r");
  std::string text;
  char buffer[4096];
  size_t got;
  while ((got = fread(buffer, 1, sizeof(buffer), pipe)) > 0) text.append(buffer, got);
  return text + "status " + std::to_string(pclose(pipe));
}

std::vector<std::string> program_names() {
  std::vector<std::string> names;
  std::istringstream lines(outcome("A=b", HOOK_PROGRAMS));
  for (std::string line; std::getline(lines, line) && line.find(' ') == std::string::npos;) {
    names.push_back(line);
  }
  return names;
}

class SmallProgram : public ::testing::TestWithParam<std::string> {};

TEST_P(SmallProgram, SaysTheSamePlainAndPreloaded) {
  const std::string command = std::string(HOOK_PROGRAMS) + " " + GetParam();
  const std::string plain = outcome("A=b", command);
  EXPECT_EQ(plain.substr(plain.rfind("status")), "status 0") << plain;
  for (const Mode& mode : kModes) {
    EXPECT_EQ(outcome(mode.environment, command), plain) << "preloaded, " << mode.name;
  }
}

std::vector<std::string> comparable_programs() {
  std::vector<std::string> names = program_names();
  for (const char* differs_on_purpose :
       {"show_tag", "lock_and_wait", "show_values", "show_events", "show_module_events"}) {
    std::erase(names, differs_on_purpose);
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Hooks, SmallProgram, ::testing::ValuesIn(comparable_programs()),
                         [](const auto& tested) { return tested.param; });

struct Stock {
  const char* name;
  const char* command;
};

class StockProgram : public ::testing::TestWithParam<Stock> {};

TEST_P(StockProgram, SaysTheSamePlainAndPreloaded) {
  const std::string plain = outcome("A=b", GetParam().command);
  EXPECT_EQ(plain.substr(plain.rfind("status")), "status 0") << plain;
  for (const Mode& mode : kModes) {
    EXPECT_EQ(outcome(mode.environment, GetParam().command), plain) << "preloaded, " << mode.name;
  }
}

const Stock kStock[] = {
    {"python_threads", R"(python3 -c '
import threading, queue, socket, select, subprocess
q = queue.Queue()
threads = [threading.Thread(target=lambda i=i: q.put(i * i)) for i in range(20)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(q.get() for _ in range(20)))
event = threading.Event(); print(event.wait(0.01))
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
client.sendall(b"x" * 100000); client.shutdown(socket.SHUT_WR)
total = 0
while True:
    select.select([peer], [], [])
    got = len(peer.recv(4096))
    if not got: break
    total += got
print(total)
print(subprocess.run(["echo", "child"], capture_output=True).stdout)
')"},
    {"sort_in_parallel",
     "sh -c 'seq 1 200000 | sort --parallel=4 -R --random-source=/dev/zero | sort --parallel=4 -n "
     "| md5sum'"},
    {"xz_with_threads", "sh -c 'seq 1 500000 | xz -T2 --block-size=500000 | xz -dc | md5sum'"},
    {"shell_pipeline",
     "sh -c 'echo a | cat | (read x; echo $x; exit 3); echo $?; sleep 0.01 & wait'"},
    {"timeout_kills", "sh -c 'timeout 0.05 sleep 60; echo $?'"},
};

INSTANTIATE_TEST_SUITE_P(Hooks, StockProgram, ::testing::ValuesIn(kStock),
                         [](const auto& tested) { return std::string(tested.param.name); });

// ---- beside an interposer of mmap ---------------------------------------------------------------

class BesideALockingMmap : public ::testing::TestWithParam<const char*> {};

TEST_P(BesideALockingMmap, AProgramStartsAndSaysTheSameInBothOrders) {
  const std::string program = std::string(HOOK_PROGRAMS) + " " + GetParam();
  const std::string other = LOCKING_MMAP_LIBRARY;
  const std::string plain = outcome("LD_PRELOAD=" + other, program);
  EXPECT_EQ(plain.substr(plain.rfind("status")), "status 0") << plain;
  for (const Mode& mode : kModes) {
    const std::string environment = mode.environment;
    const size_t library = environment.rfind('=') + 1;
    EXPECT_EQ(outcome(environment + ":" + other, program), plain) << mode.name << ", before it";
    EXPECT_EQ(outcome(environment.substr(0, library) + other + ":" + environment.substr(library),
                      program),
              plain)
        << mode.name << ", after it";
  }
}

INSTANTIATE_TEST_SUITE_P(Hooks, BesideALockingMmap,
                         ::testing::Values("mutex_excludes", "once_runs_once",
                                           "threads_end_and_are_joined"),
                         [](const auto& tested) { return std::string(tested.param); });

// ---- what the hooks leave behind ----------------------------------------------------------------

uint64_t tag_after(const std::string& output, const char* words) {
  const size_t at = output.find(words);
  return at == std::string::npos ? ~uint64_t{0}
                                 : strtoull(output.c_str() + at + strlen(words), nullptr, 16);
}

TEST(Tag, IsLeftByTheFirstLockAndZeroedByInit) {
  const std::string command = std::string(HOOK_PROGRAMS) + " show_tag";
  const std::string plain = outcome("A=b", command);
  EXPECT_EQ(tag_after(plain, "tag "), 0u);
  const std::string passing = outcome(kModes[0].environment, command);
  EXPECT_EQ(tag_after(passing, "tag "), 0u);  // nobody classifies
  const std::string none = outcome(kModes[2].environment, command);
  EXPECT_TRUE(tag_valid(tag_after(none, "tag "))) << none;
  EXPECT_FALSE(tag_selected(tag_after(none, "tag ")));
  EXPECT_NE(tag_class(tag_after(none, "tag ")), 0u);
  EXPECT_EQ(tag_after(none, "after init "), 0u);
  const std::string all = outcome(kModes[3].environment, command);
  EXPECT_TRUE(tag_valid(tag_after(all, "tag ")));
  EXPECT_TRUE(tag_selected(tag_after(all, "tag ")));
}

TEST(Tag, IsLeftByInitUnderAMutexFactory) {
  const std::string none = outcome(std::string("AUXIN_TEST_FACTORY=on ") + kModes[2].environment,
                                   std::string(HOOK_PROGRAMS) + " show_tag");
  EXPECT_FALSE(tag_selected(tag_after(none, "tag "))) << none;  // statically initialised
  EXPECT_TRUE(tag_valid(tag_after(none, "after init "))) << none;
  EXPECT_TRUE(tag_selected(tag_after(none, "after init ")));
}

TEST(Values, AllComeFromTheFacetWhereTheyAreWanted) {
  const std::string wanted =
      std::string("AUXIN_TEST_SELECT=all AUXIN_TEST_VALUES=fixed LD_PRELOAD=") + REIFYING_LIBRARY;
  EXPECT_EQ(outcome(wanted, std::string(HOOK_PROGRAMS) + " show_values"),
            "clock 1000000007.9\ngettimeofday 1000000007.5\ntime 1000000007 1000000007\n"
            "timespec_get 1000000007.9\ngetrandom 7 rrrrrrr\ngetentropy rrrrrrrrrrrrrrr\n"
            "arc4random_buf rrrrrrrrrrrrrrr\narc4random 45 45\nrandom 41\nrand 42\n"
            "drand48 1\nlrand48 45\nmrand48 45\nrandom_device 43\ngetpid 44\ngetppid 45\n"
            "gettid 45\nprocessors 45 45\n/dev/urandom 7 rrrrrrr\nits duplicate 7 rrrrrrr\n"
            "through a stream rrrrrrrrrrrrrrr\n/dev/zero 15 0\nsleeps 0 0 0 0 0\nstatus 0");
}

TEST(Values, StayLibcsWhereTheyAreNotWanted) {
  const std::string unwanted =
      std::string("AUXIN_TEST_VALUES=fixed LD_PRELOAD=") + REIFYING_LIBRARY;
  const std::string output = outcome(unwanted, std::string(HOOK_PROGRAMS) + " clocks_agree");
  EXPECT_EQ(output, outcome("A=b", std::string(HOOK_PROGRAMS) + " clocks_agree"));
}

// The calls of a program that takes one mutex 1000 times are seen once each, and no more of them.
TEST(Observation, SeesEachCallOnce) {
  const std::string told = outcome("AUXIN_TEST_OBSERVE=told LD_PRELOAD=" REIFYING_LIBRARY,
                                   HOOK_PROGRAMS " lock_and_wait");
  EXPECT_NE(told.find("observed pthread_mutex_lock 1000\n"), std::string::npos) << told;
  EXPECT_NE(told.find("observed pthread_mutex_unlock 1000\n"), std::string::npos) << told;
}

// Two observers see the same calls, each those of its families.
TEST(Observation, HasRoomForTwo) {
  const std::string told = outcome("AUXIN_TEST_OBSERVE=twice LD_PRELOAD=" REIFYING_LIBRARY,
                                   HOOK_PROGRAMS " lock_and_wait");
  EXPECT_NE(told.find("observed pthread_mutex_lock 1000\n"), std::string::npos) << told;
  EXPECT_NE(told.find("observed pthread_mutex_unlock 1000\n"), std::string::npos) << told;
  EXPECT_NE(told.find("first 2000\n"), std::string::npos) << told;
}

TEST(Events, OfThreadsAndProcessesReachTheFacets) {
  const std::string reporting = std::string("AUXIN_TEST_REPORT=on LD_PRELOAD=") + REIFYING_LIBRARY;
  EXPECT_EQ(outcome(reporting, std::string(HOOK_PROGRAMS) + " show_events"),
            "creating\nbegun\nthread joined 6\n"
            "creating\nbegun\nC11 thread joined -6\n"
            "creating\ncreation failed\n"
            "forked child\nexiting\nchild's status 3\n"   // in the child, by its own exit
            "vfork child's status 4\n"                    // not told: it is not this process
            "forked child\n"                              // _Fork
            "AUXIN_SEEN=1\nAUXIN_SEEN=1\nAUXIN_SEEN=1\n"  // exec, posix_spawn, vfork and exec
            "returning from main\nexiting with 0\nstatus 0");
}

TEST(Events, ALoadedModuleIsNoticedAtTheNextSocket) {
  const std::string reporting = std::string("AUXIN_TEST_REPORT=on LD_PRELOAD=") + REIFYING_LIBRARY;
  EXPECT_EQ(outcome(reporting, std::string(HOOK_PROGRAMS) + " show_module_events"),
            "socket\nloaded\nmodules changed\nsocket\nsocket\nexiting with 0\nstatus 0");
}

TEST(Events, WhatNobodyOrdersIsTold) {
  const std::string reporting = std::string("AUXIN_TEST_REPORT=on LD_PRELOAD=") + REIFYING_LIBRARY;
  EXPECT_EQ(outcome(reporting, std::string(HOOK_PROGRAMS) + " show_unsupported_uses"),
            "signal-handler SIGUSR1\nsignal-handler SIGHUP\nsignal-handler SIGRTMIN+1\n"
            "shared-memory /auxin-hook-program\nshared-memory shmget\n"
            "exiting with 0\nstatus 0");
}

// A preloaded `lock_and_wait`, stopped where its counters can be read as `auxin locks --pid` does.
class Counted {
 public:
  explicit Counted(const char* select) {
    int to_child[2], from_child[2];
    EXPECT_EQ(pipe(to_child), 0);
    EXPECT_EQ(pipe(from_child), 0);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(to_child[0], STDIN_FILENO);
      dup2(from_child[1], STDOUT_FILENO);
      for (const int fd : {to_child[0], to_child[1], from_child[0], from_child[1]}) close(fd);
      setenv("LD_PRELOAD", REIFYING_LIBRARY, 1);
      setenv("AUXIN_TEST_SELECT", select, 1);
      execl(HOOK_PROGRAMS, HOOK_PROGRAMS, "lock_and_wait", nullptr);
      _exit(127);
    }
    close(to_child[0]);
    close(from_child[1]);
    input_ = to_child[1];
    char ready[6] = {};
    EXPECT_EQ(read(from_child[0], ready, sizeof(ready)), 6);
    close(from_child[0]);
  }
  ~Counted() {
    close(input_);
    int status = 0;
    waitpid(pid_, &status, 0);
    EXPECT_EQ(status, 0);
  }

  // The row of the program's own module, added up over the shards.
  CounterRow row() const {
    std::vector<char> memory(sizeof(CounterBlock));
    const iovec local{memory.data(), memory.size()};
    const iovec remote{reinterpret_cast<void*>(block_address()), memory.size()};
    EXPECT_EQ(process_vm_readv(pid_, &local, 1, &remote, 1, 0),
              static_cast<ssize_t>(memory.size()));
    const auto& block = *reinterpret_cast<const CounterBlock*>(memory.data());
    EXPECT_EQ(block.magic, kCounterMagic);
    CounterRow sum{};
    for (unsigned i = 0; i < block.class_count; ++i) {
      if (strcmp(block.classes[i].library, "hook_programs") != 0) continue;
      for (const CounterShard& shard : block.shards) {
        sum.total += shard.rows[i].total;
        sum.intercepted += shard.rows[i].intercepted;
        sum.ordered += shard.rows[i].ordered;
      }
    }
    return sum;
  }

 private:
  uintptr_t block_address() const {
    std::ifstream maps("/proc/" + std::to_string(pid_) + "/maps");
    for (std::string line; std::getline(maps, line);) {
      if (line.find("/memfd:auxin-counters") != std::string::npos) {
        return strtoull(line.c_str(), nullptr, 16);
      }
    }
    ADD_FAILURE() << "no counters in the process";
    return 0;
  }

  pid_t pid_ = -1;
  int input_ = -1;
};

TEST(CountersFromOutside, EachUnselectedCallIsCountedOnce) {
  const Counted counted("none");
  EXPECT_EQ(counted.row().total, 2000u);
  EXPECT_EQ(counted.row().intercepted, 0u);
  EXPECT_EQ(counted.row().ordered, 0u);
}

TEST(CountersFromOutside, EachSelectedCallIsCountedAsIntercepted) {
  const Counted counted("all");
  EXPECT_EQ(counted.row().total, 2000u);
  EXPECT_EQ(counted.row().intercepted, 2000u);
  EXPECT_EQ(counted.row().ordered, 0u);  // the facet's to count; the default one orders nothing
}

}  // namespace
}  // namespace auxin::os
