// SPDX-License-Identifier: Apache-2.0
//
// The lock below every hook, and the waits that it is made of.
#include "replication/futex.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace auxin::replication {
namespace {

TEST(FutexLock, KeepsThreadsApart) {
  constexpr int kThreads = 6, kRounds = 20'000;
  FutexLock lock;
  uint64_t count = 0;  // a race loses some
  std::vector<std::thread> threads;
  for (int n = 0; n < kThreads; ++n) {
    threads.emplace_back([&lock, &count, n] {
      for (int round = 0; round < kRounds; ++round) {
        if ((n + round) % 3 == 0) {
          while (!lock.try_lock()) std::this_thread::yield();
          ++count;
          lock.unlock();
        } else {
          FutexGuard guard(lock);
          const uint64_t seen = count;
          if (round % 64 == 0) std::this_thread::yield();  // others come and sleep meanwhile
          count = seen + 1;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, uint64_t{kThreads} * kRounds);
}

TEST(FutexLock, WhoTriesDoesNotWait) {
  FutexLock lock;
  ASSERT_TRUE(lock.try_lock());
  EXPECT_FALSE(lock.try_lock());
  std::thread([&lock] { EXPECT_FALSE(lock.try_lock()); }).join();
  lock.unlock();
  EXPECT_TRUE(lock.try_lock());
}

// Two threads pass a number to and fro, each asleep until it has changed.
template <typename Wait, typename Wake>
void play_ping_pong(Wait wait, Wake wake) {
  constexpr uint32_t kTurns = 2000;
  std::atomic<uint32_t> word{0};
  const auto play = [&](uint32_t first) {
    for (uint32_t turn = first; turn < kTurns; turn += 2) {
      for (uint32_t seen; (seen = word.load()) != turn;) wait(&word, seen);
      word.store(turn + 1);
      wake(&word);
    }
  };
  std::thread other([&play] { play(1); });
  play(0);
  other.join();
  EXPECT_EQ(word.load(), kTurns);
}

TEST(Futex, AWakeIsNeverLost) {
  play_ping_pong([](auto* word, uint32_t seen) { futex_wait(word, seen, 0); },
                 [](auto* word) { futex_wake(word, 1); });
  play_ping_pong([](auto* word, uint32_t seen) { futex_wait(word, seen, 0, true); },
                 [](auto* word) { futex_wake(word, 1, true); });
}

TEST(Futex, AWakeOfSomeTurnsReachesWhoWaitsForOneOfThem) {
  play_ping_pong([](auto* word, uint32_t seen) { futex_wait_bits(word, seen, 1u << 7, 0); },
                 [](auto* word) { futex_wake_bits(word, 1u << 3 | 1u << 7); });
}

TEST(Futex, AWaitEndsByItsTimeLimitAndNotBefore) {
  constexpr uint64_t kLimitNs = 3'000'000;
  std::atomic<uint32_t> word{5};
  uint64_t before_ns = monotonic_ns();
  EXPECT_EQ(futex_wait(&word, 5, kLimitNs), -ETIMEDOUT);
  EXPECT_GE(monotonic_ns() - before_ns, kLimitNs);
  before_ns = monotonic_ns();
  EXPECT_EQ(futex_wait_bits(&word, 5, ~0u, kLimitNs), -ETIMEDOUT);
  EXPECT_GE(monotonic_ns() - before_ns, kLimitNs);
}

TEST(Futex, NobodyWaitsForAWordThatHasChanged) {
  std::atomic<uint32_t> word{6};
  EXPECT_EQ(futex_wait(&word, 5, 0), -EAGAIN);
  EXPECT_EQ(futex_wait_bits(&word, 5, ~0u, 0), -EAGAIN);
}

TEST(RawSyscall, FailsWithoutTouchingErrno) {
  errno = 77;
  EXPECT_EQ(raw_syscall(SYS_close, -1), -EBADF);
  EXPECT_EQ(errno, 77);
}

TEST(RawSyscall, PassesSixArguments) {
  std::atomic<uint32_t> from{1}, to{0};
  // The sixth of FUTEX_CMP_REQUEUE is the value that `from` must have.
  const auto requeue = [&](long expected) {
    return raw_syscall(SYS_futex, reinterpret_cast<long>(&from), FUTEX_CMP_REQUEUE, 1, 1,
                       reinterpret_cast<long>(&to), expected);
  };
  EXPECT_EQ(requeue(1), 0);
  EXPECT_EQ(requeue(2), -EAGAIN);
}

}  // namespace
}  // namespace auxin::replication
