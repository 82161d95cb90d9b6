// SPDX-License-Identifier: Apache-2.0
//
// Threads in every kind of wait are stopped and go on, again and again, and see nothing of it.
#include "checkpoint/process/thread_stop.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace auxin::checkpoint {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr uint64_t kPatienceNs = 5'000'000'000;

// One way to wait: what the thread does, and how it is let go.
struct Wait {
  std::string name;
  std::function<std::string()> run;   // "" or what was wrong
  std::function<void()> let_go;
};

std::string outcome(long result, long expected) {
  if (result == expected) return "";
  return "returned " + std::to_string(result) + ", errno " + std::to_string(errno);
}

struct Pipe {
  int ends[2];
  Pipe() { EXPECT_EQ(pipe(ends), 0); }
  ~Pipe() { close(ends[0]), close(ends[1]); }
  void put() { EXPECT_EQ(write(ends[1], "x", 1), 1); }
};

// Waits that end when somebody does something.
std::vector<Wait> endless_waits() {
  std::vector<Wait> waits;
  const auto add = [&](const char* name, auto run, auto let_go) {
    waits.push_back({name, run, let_go});
  };
  {
    auto p = std::make_shared<Pipe>();
    add("read", [p] { char c; return outcome(read(p->ends[0], &c, 1), 1); }, [p] { p->put(); });
  }
  {
    auto p = std::make_shared<Pipe>();
    add("poll for ever", [p] {
      pollfd one{p->ends[0], POLLIN, 0};
      return outcome(poll(&one, 1, -1), 1);
    }, [p] { p->put(); });
  }
  {
    auto p = std::make_shared<Pipe>();
    add("poll with a long limit", [p] {
      pollfd one{p->ends[0], POLLIN, 0};
      return outcome(poll(&one, 1, 600'000), 1);
    }, [p] { p->put(); });
  }
  {
    auto p = std::make_shared<Pipe>();
    add("ppoll", [p] {
      pollfd one{p->ends[0], POLLIN, 0};
      timespec limit{600, 0};
      sigset_t all;
      sigfillset(&all);
      return outcome(ppoll(&one, 1, &limit, &all), 1);
    }, [p] { p->put(); });
  }
  {
    auto p = std::make_shared<Pipe>();
    add("select", [p] {
      fd_set set;
      FD_ZERO(&set);
      FD_SET(p->ends[0], &set);
      timeval limit{600, 0};
      return outcome(select(p->ends[0] + 1, &set, nullptr, nullptr, &limit), 1);
    }, [p] { p->put(); });
  }
  {
    auto p = std::make_shared<Pipe>();
    add("pselect", [p] {
      fd_set set;
      FD_ZERO(&set);
      FD_SET(p->ends[0], &set);
      timespec limit{600, 0};
      return outcome(pselect(p->ends[0] + 1, &set, nullptr, nullptr, &limit, nullptr), 1);
    }, [p] { p->put(); });
  }
  for (const int limit_ms : {-1, 600'000}) {
    auto p = std::make_shared<Pipe>();
    add(limit_ms < 0 ? "epoll_wait for ever" : "epoll_wait with a limit", [p, limit_ms] {
      const int epoll = epoll_create1(EPOLL_CLOEXEC);
      epoll_event event{};
      event.events = EPOLLIN;
      epoll_ctl(epoll, EPOLL_CTL_ADD, p->ends[0], &event);
      const std::string result = outcome(epoll_wait(epoll, &event, 1, limit_ms), 1);
      close(epoll);
      return result;
    }, [p] { p->put(); });
  }
  {
    auto counter = std::make_shared<int>(eventfd(0, EFD_CLOEXEC));
    add("eventfd", [counter] {
      eventfd_t value;
      return outcome(eventfd_read(*counter, &value), 0);
    }, [counter] { eventfd_write(*counter, 1); });
  }
  {
    auto pair = std::make_shared<Pipe>();
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair->ends), 0);
    add("recv", [pair] { char c; return outcome(recv(pair->ends[0], &c, 1, 0), 1); },
        [pair] { pair->put(); });
  }
  {
    auto pair = std::make_shared<Pipe>();
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair->ends), 0);
    timeval limit{600, 0};
    setsockopt(pair->ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    add("recv with a limit", [pair] { char c; return outcome(recv(pair->ends[0], &c, 1, 0), 1); },
        [pair] { pair->put(); });
  }
  {
    auto s = std::make_shared<sem_t>();
    sem_init(s.get(), 0, 0);
    add("sem_wait", [s] { return outcome(sem_wait(s.get()), 0); }, [s] { sem_post(s.get()); });
  }
  {
    auto s = std::make_shared<sem_t>();
    sem_init(s.get(), 0, 0);
    add("sem_timedwait", [s] {
      timespec limit;
      clock_gettime(CLOCK_REALTIME, &limit);
      limit.tv_sec += 600;
      return outcome(sem_timedwait(s.get(), &limit), 0);
    }, [s] { sem_post(s.get()); });
  }
  {
    struct Both {
      std::mutex mutex;
      std::condition_variable changed;
      bool go = false;
    };
    auto b = std::make_shared<Both>();
    const auto let_go = [b] {
      std::lock_guard guard(b->mutex);
      b->go = true;
      b->changed.notify_all();
    };
    add("condition variable", [b] {
      std::unique_lock guard(b->mutex);
      b->changed.wait(guard, [&] { return b->go; });
      return std::string();
    }, let_go);
    auto c = std::make_shared<Both>();
    add("condition variable with a limit", [c] {
      std::unique_lock guard(c->mutex);
      return c->changed.wait_for(guard, std::chrono::seconds(600), [&] { return c->go; })
                 ? std::string()
                 : std::string("timed out");
    }, [c] {
      std::lock_guard guard(c->mutex);
      c->go = true;
      c->changed.notify_all();
    });
  }
  {
    auto m = std::make_shared<std::mutex>();
    m->lock();
    add("mutex", [m] { m->lock(); m->unlock(); return std::string(); }, [m] { m->unlock(); });
  }
  {
    auto word = std::make_shared<std::atomic<int>>(0);
    add("futex with a relative limit", [word] {
      timespec limit{600, 0};
      const long result = syscall(SYS_futex, word.get(), FUTEX_WAIT_PRIVATE, 0, &limit);
      // The word may have changed before the thread waited again: what a futex may always say.
      return result == -1 && errno == EAGAIN && *word == 1 ? std::string() : outcome(result, 0);
    }, [word] {
      word->store(1);
      syscall(SYS_futex, word.get(), FUTEX_WAKE_PRIVATE, 1);
    });
  }
  {
    auto inner = std::make_shared<std::pair<std::atomic<bool>, int>>();
    add("pthread_join", [inner] {
      std::thread thread([inner] { while (!inner->first) usleep(1000); });
      thread.join();
      return std::string();
    }, [inner] { inner->first = true; });
  }
  {
    auto self = std::make_shared<std::atomic<pthread_t>>();
    const auto block = [] {
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, SIGUSR2);
      pthread_sigmask(SIG_BLOCK, &set, nullptr);
      return set;
    };
    add("sigwaitinfo", [self, block] {
      const sigset_t set = block();
      *self = pthread_self();
      return outcome(sigwaitinfo(&set, nullptr), SIGUSR2);
    }, [self] { pthread_kill(*self, SIGUSR2); });
    auto other = std::make_shared<std::atomic<pthread_t>>();
    add("sigtimedwait", [other, block] {
      const sigset_t set = block();
      *other = pthread_self();
      timespec limit{600, 0};
      return outcome(sigtimedwait(&set, nullptr, &limit), SIGUSR2);
    }, [other] { pthread_kill(*other, SIGUSR2); });
  }
  for (const bool suspend : {false, true}) {
    auto self = std::make_shared<std::atomic<pthread_t>>();
    auto count = std::make_shared<std::atomic<int>>(0);
    add(suspend ? "sigsuspend" : "pause", [self, count, suspend] {
      static thread_local std::atomic<int>* seen;
      seen = count.get();
      struct sigaction action{};
      action.sa_handler = [](int) { ++*seen; };
      sigaction(SIGUSR1, &action, nullptr);
      *self = pthread_self();
      sigset_t none;
      sigemptyset(&none);
      const int result = suspend ? sigsuspend(&none) : pause();
      if (result != -1 || errno != EINTR) return outcome(result, -1);
      return *count == 1 ? std::string() : std::string("it returned without its signal");
    }, [self] { pthread_kill(*self, SIGUSR1); });
  }
  {
    auto p = std::make_shared<Pipe>();
    add("poll with every signal blocked", [p] {
      sigset_t all;
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, nullptr);
      pollfd one{p->ends[0], POLLIN, 0};
      return outcome(poll(&one, 1, 600'000), 1);
    }, [p] { p->put(); });
  }
  {
    auto queue = std::make_shared<int>(msgget(IPC_PRIVATE, 0600));
    add("msgrcv", [queue] {
      struct { long type; char text[8]; } message;
      return outcome(msgrcv(*queue, &message, sizeof message.text, 0, 0), 1);
    }, [queue] {
      struct { long type; char text[8]; } message{1, "x"};
      msgsnd(*queue, &message, 1, 0);
      usleep(100'000);
      msgctl(*queue, IPC_RMID, nullptr);
    });
  }
  for (const bool limited : {false, true}) {
    auto set = std::make_shared<int>(semget(IPC_PRIVATE, 1, 0600));
    add(limited ? "semtimedop" : "semop", [set, limited] {
      sembuf down{0, -1, 0};
      timespec limit{600, 0};
      return outcome(limited ? semtimedop(*set, &down, 1, &limit) : semop(*set, &down, 1), 0);
    }, [set] {
      sembuf up{0, 1, 0};
      semop(*set, &up, 1);
      usleep(100'000);
      semctl(*set, 0, IPC_RMID);
    });
  }
  {
    auto p = std::make_shared<Pipe>();
    add("waitpid", [p] {
      const pid_t child = fork();
      if (child == 0) {
        char c;
        _exit(read(p->ends[0], &c, 1) == 1 ? 7 : 1);
      }
      int status = 0;
      const pid_t ended = waitpid(child, &status, 0);
      if (ended != child) return outcome(ended, child);
      return outcome(WEXITSTATUS(status), 7);
    }, [p] { p->put(); });
  }
  {
    auto go = std::make_shared<std::atomic<bool>>(false);
    add("computing", [go] {
      uint64_t a = 1, sum = 0;
      double x = 1.5;
      while (!*go) {
        a = a * 6364136223846793005u + 1;
        sum += a >> 60;
        x = x * 1.0000001 + 0.5;
      }
      return sum == 0 || x < 1 ? std::string("registers were lost") : std::string();
    }, [go] { *go = true; });
  }
  return waits;
}

TEST(ThreadStop, ThreadsInEveryKindOfWaitSeeNothingOfIt) {
  std::vector<Wait> waits = endless_waits();
  std::vector<std::string> wrong(waits.size());
  std::vector<std::thread> threads;
  std::vector<std::atomic<bool>> ended(waits.size());
  for (size_t i = 0; i < waits.size(); ++i)
    threads.emplace_back([&, i] { wrong[i] = waits[i].run(); ended[i] = true; });
  std::this_thread::sleep_for(milliseconds(100));
  for (int round = 0; round < 300; ++round) {
    const StopResult stopped = stop_threads(kPatienceNs);
    if (stopped.status != StopStatus::kStopped) {
      resume_threads();
      FAIL() << "thread " << stopped.tid << " in call " << stopped.call << " did not stop";
    }
    EXPECT_GE(stopped.thread_count, waits.size());
    resume_threads();
    if (round % 3 == 0) std::this_thread::sleep_for(milliseconds(1));
  }
  for (size_t i = 0; i < waits.size(); ++i)
    EXPECT_FALSE(ended[i]) << waits[i].name << " ended by itself: " << wrong[i];
  for (Wait& wait : waits) wait.let_go();
  for (size_t i = 0; i < waits.size(); ++i) {
    threads[i].join();
    EXPECT_EQ(wrong[i], "") << waits[i].name;
  }
}

// Waits with a limit that nobody ends: not early, and not for ever, however often they are stopped.
TEST(ThreadStop, WaitsWithALimitEndWhenTheirTimeIsOver) {
  constexpr int kLimitMs = 300;
  const timespec limit{0, kLimitMs * 1'000'000};
  std::vector<Wait> waits;
  const auto add = [&](const char* name, auto run) { waits.push_back({name, run, {}}); };
  add("poll", [] { return outcome(poll(nullptr, 0, kLimitMs), 0); });
  add("ppoll", [=] { return outcome(ppoll(nullptr, 0, &limit, nullptr), 0); });
  add("select", [] {
    timeval time{0, kLimitMs * 1000};
    return outcome(select(0, nullptr, nullptr, nullptr, &time), 0);
  });
  add("epoll_wait", [] {
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_event event;
    const std::string result = outcome(epoll_wait(epoll, &event, 1, kLimitMs), 0);
    close(epoll);
    return result;
  });
  add("nanosleep", [=] { return outcome(nanosleep(&limit, nullptr), 0); });
  add("nanosleep with a remainder", [=] {
    timespec rest;
    return outcome(nanosleep(&limit, &rest), 0);
  });
  add("usleep", [] { return outcome(usleep(kLimitMs * 1000), 0); });
  add("clock_nanosleep until", [] {
    timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += kLimitMs * 1'000'000;
    if (until.tv_nsec >= 1'000'000'000) ++until.tv_sec, until.tv_nsec -= 1'000'000'000;
    return outcome(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr), 0);
  });
  add("sem_timedwait", [] {
    sem_t s;
    sem_init(&s, 0, 0);
    timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += kLimitMs * 1'000'000;
    if (until.tv_nsec >= 1'000'000'000) ++until.tv_sec, until.tv_nsec -= 1'000'000'000;
    const int result = sem_timedwait(&s, &until);
    return result == -1 && errno == ETIMEDOUT ? std::string() : outcome(result, -1);
  });
  add("sigtimedwait", [=] {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    const int result = sigtimedwait(&set, nullptr, &limit);
    return result == -1 && errno == EAGAIN ? std::string() : outcome(result, -1);
  });
  std::vector<std::string> wrong(waits.size());
  std::vector<milliseconds> took(waits.size());
  std::atomic<size_t> ended{0};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < waits.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto begin = Clock::now();
      wrong[i] = waits[i].run();
      took[i] = std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
      ++ended;
    });
  }
  for (int round = 0; ended < waits.size() && round < 100'000; ++round) {
    ASSERT_EQ(stop_threads(kPatienceNs).status, StopStatus::kStopped);
    resume_threads();
    if (round % 2 == 0) std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(ended, waits.size()) << "a wait never ended";
  for (size_t i = 0; i < waits.size(); ++i) {
    threads[i].join();
    EXPECT_EQ(wrong[i], "") << waits[i].name;
    EXPECT_GE(took[i].count(), kLimitMs - 1) << waits[i].name;
  }
}

// A signal of the program's own still cuts a wait short, also one that goes on after a stop.
TEST(ThreadStop, TheProgramsOwnSignalsStillInterrupt) {
  struct sigaction action{};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
  for (int round = 0; round < 20; ++round) {
    std::atomic<pthread_t> self{};
    std::atomic<bool> started{false};
    int result = 0, error = 0;
    std::thread thread([&] {
      self = pthread_self();
      started = true;
      result = poll(nullptr, 0, 600'000);
      error = errno;
    });
    while (!started) std::this_thread::yield();
    for (int stops = 0; stops < 1 + round % 3; ++stops) {
      std::this_thread::sleep_for(milliseconds(2));
      ASSERT_EQ(stop_threads(kPatienceNs).status, StopStatus::kStopped);
      resume_threads();
    }
    std::this_thread::sleep_for(milliseconds(2));
    pthread_kill(self, SIGUSR1);
    thread.join();
    EXPECT_EQ(result, -1);
    EXPECT_EQ(error, EINTR);
  }
}

// Threads that come and go all the time, and cancelled ones, do not upset a stop.
TEST(ThreadStop, ThreadsMayComeAndGo) {
  std::atomic<bool> over{false};
  std::atomic<uint64_t> made{0};
  std::vector<std::thread> makers;
  for (int i = 0; i < 3; ++i) {
    makers.emplace_back([&] {
      while (!over) {
        std::thread([&] { ++made; }).join();
        pthread_t sleeper;
        ASSERT_EQ(pthread_create(&sleeper, nullptr, [](void*) -> void* {
          poll(nullptr, 0, 600'000);
          return nullptr;
        }, nullptr), 0);
        usleep(200);
        pthread_cancel(sleeper);
        void* end = nullptr;
        pthread_join(sleeper, &end);
        ASSERT_EQ(end, PTHREAD_CANCELED);
      }
    });
  }
  for (int round = 0; round < 500; ++round) {
    const StopResult stopped = stop_threads(kPatienceNs);
    ASSERT_EQ(stopped.status, StopStatus::kStopped)
        << "thread " << stopped.tid << " in call " << stopped.call;
    const uint64_t before = made;
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(made, before);
    resume_threads();
    if (round % 2 == 0) usleep(100);
  }
  over = true;
  for (std::thread& maker : makers) maker.join();
  EXPECT_GT(made, 0u);
}

// glibc sends the same signal to all threads when a program with threads changes its user.
TEST(ThreadStop, SetuidWorksBesideIt) {
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { while (!over) usleep(100); });
  threads.emplace_back([&] {
    while (!over) EXPECT_EQ(setresuid(static_cast<uid_t>(-1), getuid(), static_cast<uid_t>(-1)), 0);
  });
  for (int round = 0; round < 300; ++round) {
    ASSERT_EQ(stop_threads(kPatienceNs).status, StopStatus::kStopped);
    resume_threads();
  }
  over = true;
  for (std::thread& thread : threads) thread.join();
}

// A thread that can't be stopped (here: it waits for its vfork child) is named, all others run on.
TEST(ThreadStop, AThreadThatDoesNotStopIsNamed) {
  std::atomic<bool> forked{false};
  std::atomic<uint64_t> turns{0};
  std::atomic<bool> over{false};
  Pipe hold;
  std::thread stuck([&] {
    forked = true;
    const pid_t child = vfork();
    if (child == 0) {
      char c;
      const ssize_t got = read(hold.ends[0], &c, 1);
      _exit(got == 1 ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
  });
  std::thread other([&] { while (!over) ++turns; });
  while (!forked) usleep(100);
  usleep(20'000);
  const StopResult stopped = stop_threads(50'000'000);
  EXPECT_EQ(stopped.status, StopStatus::kPatience);
  EXPECT_EQ(stopped.call, SYS_vfork);
  const uint64_t before = turns;
  while (turns == before) usleep(100);
  hold.put();
  stuck.join();
  const StopResult again = stop_threads(kPatienceNs);
  EXPECT_EQ(again.status, StopStatus::kStopped);
  resume_threads();
  over = true;
  other.join();
}

}  // namespace
}  // namespace auxin::checkpoint
