// SPDX-License-Identifier: Apache-2.0
//
// RobustLock between threads and processes, and what the death of an owner looks like.
#include "stmemu/robust_lock.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <new>
#include <thread>
#include <vector>

#include "stmemu/test_memory.h"
#include "tests/harness/kill_one.h"

// ThreadSanitizer of g++ 12 does not know pthread_mutex_clocklock, and what dead owners leave
// behind it takes for misuse.
extern "C" const char* __tsan_default_options();
const char* __tsan_default_options() { return "report_mutex_bugs=0"; }

namespace auxin::stm {
namespace {

using Taken = RobustLock::Taken;

// What the processes of a test share.
struct Shared {
  RobustLock lock;
  std::atomic<int> ready;
  std::atomic<int> clean;
  std::atomic<int> owner_died;
  std::atomic<int> other;
  std::atomic<uint64_t> first, second;  // equal unless an owner died between its two stores
};

class RobustLockTest : public testing::Test {
 protected:
  RobustLockTest() {
    void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    shared_ = new (memory) Shared{};
    lock().format();
  }
  ~RobustLockTest() override { munmap(shared_, sizeof(Shared)); }

  RobustLock& lock() { return shared_->lock; }

  void await_ready(int count) {
    while (shared_->ready.load() < count) std::this_thread::yield();
  }

  // A process that takes the lock, says so, and holds it until it is killed.
  pid_t holder() {
    const pid_t child = in_child([this] {
      if (lock().lock(calls_) != Taken::kClean) return 1;
      ++shared_->ready;
      for (;;) pause();
    });
    await_ready(1);
    return child;
  }

  void count(Taken taken) {
    if (taken == Taken::kClean) ++shared_->clean;
    else if (taken == Taken::kOwnerDied) ++shared_->owner_died;
    else ++shared_->other;
  }

  const MutexCalls& calls_ = plain_mutex_calls();
  Shared* shared_;
};

TEST_F(RobustLockTest, AFreeLockIsTakenCleanInEveryWay) {
  EXPECT_FALSE(lock().seems_held());
  EXPECT_EQ(lock().lock(calls_), Taken::kClean);
  EXPECT_TRUE(lock().seems_held());
  lock().unlock(calls_);
  EXPECT_FALSE(lock().seems_held());
  EXPECT_EQ(lock().try_lock(calls_), Taken::kClean);
  lock().unlock(calls_);
  EXPECT_EQ(lock().lock_for(calls_, 1000), Taken::kClean);
  lock().unlock(calls_);
}

TEST_F(RobustLockTest, AnotherLivingOwnerIsBusy) {
  const pid_t child = holder();
  EXPECT_TRUE(lock().seems_held());
  EXPECT_EQ(lock().try_lock(calls_), Taken::kBusy);
  timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  EXPECT_EQ(lock().lock_for(calls_, 20'000), Taken::kBusy);
  clock_gettime(CLOCK_MONOTONIC, &after);
  EXPECT_GE((after.tv_sec - before.tv_sec) * 1'000'000'000 + after.tv_nsec - before.tv_nsec,
            20'000'000);
  kill_one(child, SIGKILL);
  EXPECT_EQ(end_of(child), -SIGKILL);
}

TEST_F(RobustLockTest, AKilledOwnerIsSeenOnceByEachWayOfTaking) {
  for (int way = 0; way < 3; ++way) {
    shared_->ready = 0;
    const pid_t child = holder();
    kill_one(child, SIGKILL);
    const Taken taken = way == 0   ? lock().lock(calls_)
                        : way == 1 ? lock().lock_for(calls_, 60'000'000)
                                   : (end_of(child), lock().try_lock(calls_));
    EXPECT_EQ(taken, Taken::kOwnerDied) << way;
    lock().unlock(calls_);
    EXPECT_EQ(lock().try_lock(calls_), Taken::kClean) << "made consistent by its successor";
    lock().unlock(calls_);
    if (way != 2) {
      EXPECT_EQ(end_of(child), -SIGKILL);
    }
  }
}

TEST_F(RobustLockTest, AnOwnerThatDiedIsNotSeenAsHolding) {
  const pid_t child = holder();
  kill_one(child, SIGKILL);
  EXPECT_EQ(end_of(child), -SIGKILL);
  EXPECT_FALSE(lock().seems_held());
}

TEST_F(RobustLockTest, AnOwningThreadThatEndsIsSeenThoughItsProcessLives) {
  std::thread([this] { EXPECT_EQ(lock().lock(calls_), Taken::kClean); }).join();
  EXPECT_EQ(lock().lock(calls_), Taken::kOwnerDied);
  lock().unlock(calls_);
}

TEST_F(RobustLockTest, OfSeveralWaitersExactlyOneGetsTheDeath) {
  constexpr int kWaiters = 5;
  const pid_t owner = holder();
  std::vector<pid_t> waiters;
  for (int n = 0; n < kWaiters; ++n) {
    waiters.push_back(in_child([this] {
      ++shared_->ready;
      count(lock().lock(calls_));
      lock().unlock(calls_);
      return 0;
    }));
  }
  await_ready(1 + kWaiters);
  kill_one(owner, SIGKILL);
  EXPECT_EQ(end_of(owner), -SIGKILL);
  for (const pid_t waiter : waiters) EXPECT_EQ(end_of(waiter), 0);
  EXPECT_EQ(shared_->owner_died, 1);
  EXPECT_EQ(shared_->clean, kWaiters - 1);
  EXPECT_EQ(shared_->other, 0);
}

TEST_F(RobustLockTest, AChainOfDyingSuccessorsPassesTheDeathOn) {
  // Each child takes the lock from its dead predecessor and dies holding it.
  constexpr int kGenerations = 20;
  for (int n = 0; n < kGenerations; ++n) {
    const pid_t child = in_child([this]() -> int {
      count(lock().lock(calls_));
      raise(SIGKILL);
      return 1;
    });
    EXPECT_EQ(end_of(child), -SIGKILL);
  }
  EXPECT_EQ(shared_->clean, 1);
  EXPECT_EQ(shared_->owner_died, kGenerations - 1);
  EXPECT_EQ(lock().lock(calls_), Taken::kOwnerDied);
  lock().unlock(calls_);
}

TEST_F(RobustLockTest, WorkersKilledAtRandomNeverBreakMutualExclusionUnannounced) {
  // Goal: a half-done section is seen by a taker only together with kOwnerDied.
  // Method: processes raise two counters under the lock; one after another is killed at a random
  // moment and replaced. A taker told kClean must find the counters equal.
  const uint64_t rounds = environment_number("AUXIN_ROUNDS", 50);
  std::mt19937_64 random(test_seed());
  const auto worker = [this] {
    for (;;) {
      const Taken taken = lock().lock(calls_);
      if (taken == Taken::kClean && shared_->first.load() != shared_->second.load()) return 1;
      if (taken != Taken::kClean && taken != Taken::kOwnerDied) return 2;
      if (taken == Taken::kOwnerDied) shared_->second.store(shared_->first.load());
      shared_->first.fetch_add(1);
      shared_->second.fetch_add(1);
      lock().unlock(calls_);
    }
  };
  std::vector<pid_t> workers;
  for (int n = 0; n < 3; ++n) workers.push_back(in_child(worker));
  for (uint64_t round = 0; round < rounds; ++round) {
    const uint64_t goal = shared_->first.load() + 1 + random() % 100;  // progress, not time
    while (shared_->first.load() < goal) std::this_thread::yield();
    pid_t& victim = workers[random() % workers.size()];
    kill_one(victim, SIGKILL);
    ASSERT_EQ(end_of(victim), -SIGKILL);
    victim = in_child(worker);
  }
  for (const pid_t child : workers) {
    kill_one(child, SIGKILL);
    EXPECT_EQ(end_of(child), -SIGKILL);
  }
}

TEST_F(RobustLockTest, ALockThatCannotBeMadeConsistentFails) {
  static constexpr MutexCalls kNoRecovery = {pthread_mutex_lock, pthread_mutex_trylock,
                                             pthread_mutex_clocklock, pthread_mutex_unlock,
                                             [](pthread_mutex_t*) { return EINVAL; }};
  std::thread([this] { EXPECT_EQ(lock().lock(calls_), Taken::kClean); }).join();
  EXPECT_EQ(lock().lock(kNoRecovery), Taken::kFailed);
  EXPECT_FALSE(lock().seems_held());
  EXPECT_EQ(lock().lock(calls_), Taken::kFailed);
  EXPECT_EQ(lock().lock_for(calls_, 1000), Taken::kFailed);
  EXPECT_EQ(lock().try_lock(calls_), Taken::kFailed);  // last: glibc 2.36's then stays locked
}

TEST_F(RobustLockTest, OnlyTheGivenCallsAreUsed) {
  static int used;
  used = 0;
  static constexpr MutexCalls kCounting = {
      [](pthread_mutex_t* m) { return ++used, pthread_mutex_lock(m); },
      [](pthread_mutex_t* m) { return ++used, pthread_mutex_trylock(m); },
      [](pthread_mutex_t* m, clockid_t clock, const timespec* when) {
        EXPECT_EQ(clock, CLOCK_MONOTONIC);
        return ++used, pthread_mutex_clocklock(m, clock, when);
      },
      [](pthread_mutex_t* m) { return ++used, pthread_mutex_unlock(m); },
      [](pthread_mutex_t* m) { return ++used, pthread_mutex_consistent(m); }};
  lock().lock(kCounting);
  lock().unlock(kCounting);
  lock().try_lock(kCounting);
  lock().unlock(kCounting);
  EXPECT_EQ(used, 4);
  std::thread([this] { lock().lock_for(kCounting, 1000); }).join();
  EXPECT_EQ(lock().lock(kCounting), Taken::kOwnerDied);
  EXPECT_EQ(used, 7);
  lock().unlock(kCounting);
}

TEST_F(RobustLockTest, MisuseIsAFailedCheckNotADeadlock) {
  EXPECT_DEATH(lock().unlock(calls_), "only the thread that holds a lock");
  ASSERT_EQ(lock().lock(calls_), Taken::kClean);
  EXPECT_DEATH(
      {
        // The forked child is another thread, so it must take a lock of its own twice.
        RobustLock mine;
        mine.format();
        (void)mine.lock(calls_);
        (void)mine.lock(calls_);
      },
      "holds this lock already");
  lock().unlock(calls_);
}

}  // namespace
}  // namespace auxin::stm
