// SPDX-License-Identifier: Apache-2.0
//
// What a leader's threads do to shared objects in some order, a follower's threads do in the same;
// a follower that is promoted goes on from there, and another one follows both.
//
// Each replica is a process. It writes what its threads saw into a file of its own, and the files
// are compared.
#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "libmeta_os/object_tag.h"
#include "replication/connection_choice.h"
#include "replication/ordered_section.h"
#include "replication/synchronisation.h"
#include "replication/test_group.h"
#include "replication/turns.h"

namespace auxin::replication {
namespace {

constexpr uint64_t kTag = os::kTagMagic | os::kTagContentionPoint;
constexpr os::CallSite kSite{nullptr};
constexpr int kThreads = 5;

OrderedSynchronisation synchronisation;

uint64_t activity_of(int thread) { return request_activity_id(1, static_cast<uint64_t>(thread)); }

// A list under a lock of some kind: who was there, in order.
struct Mutex {
  pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  std::vector<int> history;

  Mutex() { os::mutex_tag(&lock).store(kTag); }
  void visit(int who) {
    synchronisation.mutex_lock(&lock, {}, kSite);
    history.push_back(who);
    synchronisation.mutex_unlock(&lock, kSite);
  }
  // The result of a try is a decision too.
  bool try_visit(int who) {
    os::Deadline at_once;
    at_once.kind = os::Deadline::Kind::kTry;
    if (synchronisation.mutex_lock(&lock, at_once, kSite) != 0) return false;
    history.push_back(who);
    synchronisation.mutex_unlock(&lock, kSite);
    return true;
  }
};

struct Semaphore {
  sem_t lock;
  std::vector<int> history;

  Semaphore() {
    sem_init(&lock, 0, 1);
    os::semaphore_tag(&lock).store(kTag);
    os::semaphore_count(&lock).store(0);
  }
  void visit(int who) {
    synchronisation.sem_wait(&lock, {}, kSite);
    history.push_back(who);
    synchronisation.sem_post(&lock, kSite);
  }
};

struct ReadWriteLock {
  pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
  std::vector<int> history;

  ReadWriteLock() { os::rwlock_tag(&lock).store(kTag); }
  void visit(int who) {
    synchronisation.rwlock_lock(&lock, true, {}, kSite);
    history.push_back(who);
    synchronisation.rwlock_unlock(&lock, kSite);
  }
  size_t read() {
    synchronisation.rwlock_lock(&lock, false, {}, kSite);
    const size_t size = history.size();
    synchronisation.rwlock_unlock(&lock, kSite);
    return size;
  }
};

struct ConnectionPool {
  std::vector<int> history;

  void visit(int who) {
    enter_connection_choice();
    enter_connection_choice();  // nested ones are part of the outermost
    history.push_back(who);
    leave_connection_choice();
    leave_connection_choice();
  }
};

void write_history(std::ostream& out, const char* name, const std::vector<int>& history) {
  out << name;
  for (const int who : history) out << ' ' << who;
  out << '\n';
}

// The server. Its threads do the same in every replica; when, is up to the machine.
void run_server(const std::string& report, uint64_t seed, int steps) {
  set_thread_activity(kMainActivity);
  Mutex mutexes[2];
  Semaphore semaphore;
  ReadWriteLock read_write;
  ConnectionPool pool;
  std::vector<int> seen[kThreads];  // by each thread: sizes, and results of tries
  std::vector<std::thread> threads;
  for (int who = 0; who < kThreads; ++who) {
    threads.emplace_back([&, who] {
      set_thread_activity(activity_of(who + 1));
      std::mt19937_64 choice(seed + static_cast<uint64_t>(who));
      std::mt19937_64 pace(static_cast<uint64_t>(replica->id() * kThreads + who));
      for (int step = 0; step < steps; ++step) {
        switch (choice() % 7) {
          case 0: mutexes[0].visit(who); break;
          case 1: mutexes[1].visit(who); break;
          case 2: seen[who].push_back(mutexes[1].try_visit(who)); break;
          case 3: semaphore.visit(who); break;
          case 4: read_write.visit(who); break;
          case 5: seen[who].push_back(static_cast<int>(read_write.read())); break;
          case 6: pool.visit(who); break;
        }
        if (pace() % 4 == 0) sched_yield();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  std::ofstream out(report);
  write_history(out, "mutex 0", mutexes[0].history);
  write_history(out, "mutex 1", mutexes[1].history);
  write_history(out, "semaphore", semaphore.history);
  write_history(out, "read-write lock", read_write.history);
  write_history(out, "connection pool", pool.history);
  for (const auto& values : seen) write_history(out, "seen", values);
}

std::vector<std::string> lines_of(const std::string& file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(RecordReplay, ObjectsAreAcquiredInTheLeadersOrder) {
  TestGroup group;
  const uint64_t seed = stm::test_seed();
  const std::string first = group.file("leader"), second = group.file("follower");
  EXPECT_EQ(group.run_leader(0, [&] { run_server(first, seed, 600); }), 0);
  EXPECT_EQ(group.run_follower(1, [&] { run_server(second, seed, 600); }), 0);
  EXPECT_EQ(group.control().replicas[1].position.load(), group.log().end());
  EXPECT_FALSE(lines_of(first).empty());
  EXPECT_EQ(lines_of(second), lines_of(first));
}

TEST(RecordReplay, APromotedFollowerGoesOnWhereTheLeaderEnded) {
  TestGroup group;
  const uint64_t seed = stm::test_seed();
  const std::string first = group.file("leader"), second = group.file("promoted");
  const std::string third = group.file("follower");
  EXPECT_EQ(group.run_leader(0, [&] { run_server(first, seed, 300); }), 0);
  const uint64_t end = group.log().end();
  EXPECT_EQ(group.run_follower(1, [&] {
    std::thread steward([end] {
      while (replay.low() != end) std::this_thread::yield();
      lead_from_here();
    });
    run_server(second, seed, 600);
    steward.join();
  }), 0);
  EXPECT_GT(group.log().end(), end);
  EXPECT_EQ(group.run_follower(2, [&] { run_server(third, seed, 600); }), 0);
  EXPECT_EQ(group.control().replicas[2].position.load(), group.log().end());

  const std::vector<std::string> before = lines_of(first), after = lines_of(second);
  ASSERT_EQ(after.size(), before.size());
  for (size_t n = 0; n < before.size(); ++n)
    EXPECT_EQ(after[n].substr(0, before[n].size()), before[n]);
  EXPECT_EQ(lines_of(third), after);
}

// The object table, played by a number: how many sections have run.
struct ObjectTable {
  markers::JoinPoint activation{"activate_object", "", "", markers::Role::kNone};
  std::atomic<int> size{0};

  void activate() {
    enter_ordered_section(activation);
    enter_ordered_section(activation);  // nested ones are part of the outermost
    size.fetch_add(1);
    leave_ordered_section();
    leave_ordered_section();
  }
  int look_up() {
    begin_look_up();
    const int seen = size.load();
    end_look_up();
    return seen;
  }
};

// Two threads read each of many fresh locks for the first time, in the leader at about the same
// moment: a lock has one identity, whoever was first.
void read_fresh_locks() {
  static constexpr size_t kLocks = 3000;
  std::vector<ReadWriteLock> locks(kLocks);
  std::atomic<size_t> begun{0};
  std::vector<std::thread> threads;
  for (int who = 1; who <= 2; ++who) {
    threads.emplace_back([&locks, &begun, who] {
      set_thread_activity(activity_of(who));
      for (size_t n = 0; n < kLocks; ++n) {
        ++begun;
        for (int look = 1; replica->leads() && begun.load() < 2 * (n + 1); ++look)
          if (look % 1024 == 0) std::this_thread::yield();
        locks[n].read();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(RecordReplay, FirstReadersOfALockAgreeOnItsIdentity) {
  TestGroup group;
  EXPECT_EQ(group.run_leader(0, read_fresh_locks), 0);
  EXPECT_EQ(group.run_follower(1, read_fresh_locks), 0) << group.control().replicas[1].message;
}

TEST(RecordReplay, ALookUpSeesTheObjectTableThatItSawInTheLeader) {
  // The leader's order is given by the seed: a thread of its plays all activities in turn. (Side by
  // side its sections would not wait long for look-ups.) In the follower they are on their own.
  static constexpr int kSteps = 3000;
  TestGroup group;
  std::mt19937_64 random(stm::test_seed());
  struct Step {
    int who;
    bool activates;
  };
  std::vector<Step> script;
  for (int n = 0; n < kSteps; ++n)
    script.push_back({static_cast<int>(random() % kThreads), random() % 3 == 0});

  EXPECT_EQ(group.run_leader(0, [&script] {
    ObjectTable table;
    uint32_t step_of[kThreads] = {};
    for (const Step& step : script) {
      set_thread_activity(activity_of(step.who + 1));
      current_activity()->step = step_of[step.who];
      step.activates ? table.activate() : static_cast<void>(table.look_up());
      step_of[step.who] = current_activity()->step;
    }
  }), 0);
  EXPECT_EQ(group.log().end(), static_cast<uint64_t>(kSteps));

  EXPECT_EQ(group.run_follower(1, [&script] {
    ObjectTable table;
    std::vector<std::thread> threads;
    for (int who = 0; who < kThreads; ++who) {
      threads.emplace_back([&table, &script, who] {
        set_thread_activity(activity_of(who + 1));
        int activated = 0;  // in the leader, before this step
        for (const Step& step : script) {
          if (step.who == who) {
            if (step.activates) table.activate();
            else ASSERT_EQ(table.look_up(), activated);
          }
          if (step.activates) ++activated;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(replay.low(), replica->log().end());
  }), 0);
}

}  // namespace
}  // namespace auxin::replication
