// SPDX-License-Identifier: Apache-2.0
//
// Goal: a remote procedure call through stable ports is executed exactly once, and answered exactly
// once, whenever its client, its server or the memory's controller is killed (paper 001, §3.3).
// Method: a child is killed by SIGKILL just before its N-th store to a bank, for every N of a call;
// then clients, servers and controllers are killed at random moments, again and again. Afterwards
// every call counts as one effect and one reply, and there are as many objects as before.
//
// AUXIN_ROUNDS: kills of the random part; AUXIN_SEED repeats one.
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "stmemu/entities/call_workload.h"
#include "stmemu/interface/test_memory_file.h"
#include "stmemu/memory/bank.h"
#include "tests/harness/kill_one.h"

namespace auxin::stm {
namespace {

// Shared with the children: only one process of a test stores while stores are counted.
struct Steps {
  std::atomic<uint64_t> taken, kill_at;  // kill_at 0: not counted
  std::atomic<int> signal;               // SIGKILL, or SIGSTOP
};
Steps& steps = *static_cast<Steps*>(mmap(nullptr, sizeof(Steps), PROT_READ | PROT_WRITE,
                                         MAP_SHARED | MAP_ANONYMOUS, -1, 0));

void kill_at_step(uint64_t step, int signal = SIGKILL) {
  steps.taken = 0;
  steps.signal = signal;
  steps.kill_at = step;
}

}  // namespace

void bank_step(int, uint64_t, uint64_t) {
  if (steps.kill_at == 0 || ++steps.taken != steps.kill_at) return;
  steps.kill_at = 0;
  raise(steps.signal);
}

namespace {

uint64_t number_of(const char* variable, uint64_t otherwise) {
  const char* text = getenv(variable);
  return text != nullptr ? strtoull(text, nullptr, 0) : otherwise;
}

enum class Deed { kRequest, kServe, kAwait };

class EveryStore : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    calls::set_up_server(memory_);
    calls::set_up_clients(memory_);
  }

  void act(const Memory& memory, Deed deed) {
    if (deed == Deed::kRequest) calls::request(memory, 0);
    if (deed == Deed::kServe) calls::serve(memory, 0);
    if (deed == Deed::kAwait) calls::await(memory, 0, 0);
  }
  // A child does the deed until its N-th store. True if it came to the end.
  bool in_child_until(Deed deed, uint64_t step) {
    const int status = in_child([&] {
      Memory mine = Memory::open(file_.path());
      kill_at_step(step);
      act(mine, deed);
      kill_at_step(0);
      return 0;
    });
    EXPECT_TRUE(WIFEXITED(status) || WTERMSIG(status) == SIGKILL);
    return WIFEXITED(status);
  }
  uint64_t kill_at_every_store(Deed deed) {
    const bool alone = GetParam();  // when the next program comes, nobody has the memory attached
    calls::Count before = {};
    for (uint64_t step = 1;; ++step) {
      if (deed != Deed::kRequest) calls::request(memory_, 0);
      if (deed == Deed::kAwait) calls::serve(memory_, 0);
      if (alone) memory_.close();
      const bool done = in_child_until(deed, step);
      if (alone) memory_ = Memory::open(file_.path());
      act(memory_, deed);  // the program is started again
      calls::settle_and_check(memory_);
      const calls::Count now = calls::count(memory_);
      if (step == 1) before = now;
      EXPECT_EQ(now.objects, before.objects) << "step " << step;
      EXPECT_EQ(now.own_objects, before.own_objects) << "step " << step;
      if (done || HasFailure()) return step - 1;
    }
  }

  MemoryFile file_;
  Memory memory_ = Memory::open(file_.path());
};

TEST_P(EveryStore, OfTheServer) { EXPECT_GT(kill_at_every_store(Deed::kServe), 100u); }
TEST_P(EveryStore, OfTheClientThatSends) {
  EXPECT_GT(kill_at_every_store(Deed::kRequest), 50u);
}
TEST_P(EveryStore, OfTheClientThatReceives) {
  EXPECT_GT(kill_at_every_store(Deed::kAwait), 50u);
}

INSTANTIATE_TEST_SUITE_P(Recovery, EveryStore, testing::Bool(), [](const auto& how) {
  return how.param ? std::string("ByWhoComesNext") : std::string("ByWhoIsThere");
});

// The clients' own stores go into their views; whatever reaches the banks is the controller's.
TEST(EveryStoreOfTheController, InWhicheverPartOfACall) {
  MemoryFile file(Mode::kIsolated);
  Memory memory = Memory::open(file.path());
  calls::set_up_server(memory);
  calls::set_up_clients(memory);
  calls::Count before = {};
  uint64_t step = 1;
  for (bool died = true; died && !HasFailure(); ++step) {
    kill_at_step(step);
    std::atomic<bool> done = false;
    std::thread call([&] {
      calls::request(memory, 0);
      calls::serve(memory, 0);
      calls::await(memory, 0, 0);
      done = true;
    });
    for (died = false; !done;) {
      if (file.controller_has_ended()) {
        EXPECT_FALSE(died) << "killed once, it died twice";
        died = true;
        file.start_controller();
      }
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    call.join();
    kill_at_step(0);
    calls::settle_and_check(memory);
    const calls::Count now = calls::count(memory);
    if (step == 1) before = now;
    EXPECT_EQ(now.objects, before.objects) << "step " << step;
  }
  EXPECT_GT(step, 200u);
}

// A client is killed while the controller is at its commit: whoever claims the objects next must
// not see one as it was before, and one as it was after.
TEST(StoppedAtEveryStore, ADeadClientsCommitHappensBeforeItsObjectsAreClaimed) {
  struct Number : Stable {
    uint64_t value = 0;
  };
  MemoryFile file(Mode::kIsolated);
  Memory memory = Memory::open(file.path());
  stable_ptr<Number> one, two;
  atomically(memory, [&](Transaction& t) {
    one = t.make<Number>().reference();
    two = t.make<Number>().reference();
  });
  const auto write = [&](const Memory& where, uint64_t value) {
    atomically(where, [&](Transaction& t) {
      t.open<Number>(one)->value = value;
      t.open<Number>(two)->value = value;
    });
  };
  uint64_t value = 0, step = 1;
  for (bool stopped = true; stopped && !HasFailure(); ++step) {
    write(memory, ++value);
    ++value;
    // It has its channel, and sees what is committed, when the controller stops.
    std::atomic<bool> here = false, go = false, has_one = false;
    std::thread reader([&] {
      atomically(memory, [&](Transaction& t) { t.open<const Number>(one); });
      here = true;
      while (!go) std::this_thread::yield();
      atomically(memory, [&](Transaction& t) {
        const uint64_t first = t.open<const Number>(one, 10'000'000)->value;
        has_one = true;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        EXPECT_EQ(first, t.open<const Number>(two, 10'000'000)->value) << "step " << step;
      });
    });
    while (!here) std::this_thread::yield();
    int ready[2];
    ASSERT_EQ(pipe2(ready, O_CLOEXEC), 0);
    const pid_t client = fork();
    if (client == 0) {
      Memory mine = Memory::open(file.path());
      write(mine, value - 1);  // its channel has a descriptor
      kill_at_step(step, SIGSTOP);
      write(mine, value);
      kill_at_step(0);
      if (::write(ready[1], "!", 1) != 1) _exit(1);
      pause();
    }
    close(ready[1]);
    // Either the controller stops, or the client comes to its end.
    stopped = false;
    for (pollfd done = {ready[0], POLLIN, 0}; poll(&done, 1, 1) == 0 && !stopped;) {
      int status = 0;
      stopped = waitpid(file.controller(), &status, WNOHANG | WUNTRACED) == file.controller();
    }
    kill_one(client, SIGKILL);
    EXPECT_EQ(waitpid(client, nullptr, 0), client);
    close(ready[0]);
    go = true;
    for (int wait_ms = 0; wait_ms < 10 && !has_one; ++wait_ms) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    kill_one(file.controller(), SIGCONT);
    reader.join();
  }
  EXPECT_GT(step, 15u);
}

// Servers and clients that run until they are killed.
class Programs {
 public:
  explicit Programs(const std::string& path) : path_(path) {}
  ~Programs() {
    for (const pid_t pid : pids_) end(pid);
  }
  void start(size_t number) {
    pids_.resize(std::max(pids_.size(), number + 1));
    pids_[number] = fork();
    if (pids_[number] == 0) run(number);
  }
  void kill(size_t number) { end(pids_[number]); }

 private:
  // While its controller is being killed, a memory can't be opened.
  static Memory open(const std::string& path) {
    for (;;) {
      try {
        return Memory::open(path);
      } catch (const Failure& failure) {
        if (failure.status() != Status::kUnreachable) throw;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
  }
  [[noreturn]] void run(size_t number) {
    try {
      Memory memory = open(path_);
      for (;;) {
        if (number < kServers) {
          calls::serve(memory, 1'000'000);
        } else {
          calls::request(memory, number - kServers);
          calls::await(memory, number - kServers, 1'000'000);
        }
      }
    } catch (const Failure& failure) {
      fprintf(stderr, "program %zu: %s (%s)\n", number, failure.what(),
              name_of(failure.status()));
      _exit(1);
    }
  }
  static void end(pid_t pid) {
    int status = 0;
    ASSERT_GT(pid, 0) << "fork failed";
    kill_one(pid, SIGKILL);
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFSIGNALED(status)) << "a program ended by itself";
  }

 public:
  static constexpr size_t kServers = 2;  // a primary and its backup, both ready to serve

 private:
  std::string path_;
  std::vector<pid_t> pids_;
};

// Ends in checked mode: clients and servers; in isolated mode: the controller too.
class KilledAtRandom : public testing::TestWithParam<Mode> {};

TEST_P(KilledAtRandom, ClientsAndServersLoseNoCallAndRepeatNone) {
  const uint64_t seed = number_of("AUXIN_SEED", std::random_device{}());
  const uint64_t rounds = number_of("AUXIN_ROUNDS", 400);
  const bool isolated = GetParam() == Mode::kIsolated;
  SCOPED_TRACE("AUXIN_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  MemoryFile file(GetParam());
  Memory memory = Memory::open(file.path());
  calls::set_up_server(memory);
  calls::set_up_clients(memory);
  const calls::Count before = calls::count(memory);
  memory.close();

  constexpr size_t kPrograms = Programs::kServers + calls::kClients;
  uint64_t served = 0, controllers = 0;
  for (uint64_t killed = 0; killed < rounds && !HasFailure();) {
    {
      Programs programs(file.path());
      for (size_t number = 0; number < kPrograms; ++number) programs.start(number);
      // From time to time all of them go, and the next one finds nobody.
      const uint64_t until = std::min(rounds, killed + 20 + random() % 40);
      for (; killed < until; ++killed) {
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 8000));
        const size_t number = random() % (kPrograms + isolated);
        if (number == kPrograms) {
          file.stop_controller(SIGKILL);
          file.start_controller();
          ++controllers;
        } else {
          programs.kill(number);
          programs.start(number);
        }
      }
    }
    killed += kPrograms;
    memory = Memory::open(file.path());
    EXPECT_EQ(memory.report().losses, 0u);
    served = calls::settle_and_check(memory);
    const calls::Count after = calls::count(memory);
    EXPECT_EQ(after.objects, before.objects);
    // Descriptors of channels wait for the next controller.
    if (!isolated) {
      EXPECT_EQ(after.own_objects, before.own_objects);
    }
    memory.close();
  }
  EXPECT_GT(served, isolated ? rounds / 10 : rounds);
  RecordProperty("calls", static_cast<int>(served));
  printf("%llu calls, %llu kills (%llu of controllers), AUXIN_SEED=%llu\n",
         static_cast<unsigned long long>(served), static_cast<unsigned long long>(rounds),
         static_cast<unsigned long long>(controllers), static_cast<unsigned long long>(seed));
}

INSTANTIATE_TEST_SUITE_P(Mode, KilledAtRandom,
                         testing::Values(Mode::kChecked, Mode::kWindow, Mode::kIsolated),
                         [](const auto& how) { return std::string(name_of(how.param)); });

}  // namespace
}  // namespace auxin::stm
