// SPDX-License-Identifier: Apache-2.0
//
// Goal: whoever of a saver, a server and a receiver is killed, and at whichever step of a
// conversation, what was said to be kept is kept, no image is torn, and the others go on.
// Method: "kill it at the N-th frame" for each N until it comes to its end without; nothing here
// depends on time. AUXIN_ROUNDS repeats the whole, with other messages (AUXIN_SEED).
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <random>

#include "auxin/checkpoint.h"
#include "checkpoint/server/tests/server_process.h"
#include "checkpoint/store/tests/store_test_directory.h"
#include "checkpoint/transport/kill_step.h"
#include "checkpoint/transport/remote_store.h"
#include "tests/harness/kill_one.h"

namespace auxin::checkpoint {
namespace {

using test::ServerProcess;

constexpr int kSaves = 3;
constexpr uint64_t kMostSteps = 2000;  // far more than there are

uint64_t number_of(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// What both sides can see, also when one is killed.
struct Shared {
  char table[6000];
  uint64_t kept;  // saves that were said to be kept
};

class KillSteps : public testing::Test {
 protected:
  void SetUp() override {
    shared_ = static_cast<Shared*>(mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                                        MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    seed_ = number_of("AUXIN_SEED", 1);
    std::printf("AUXIN_SEED=%llu\n", static_cast<unsigned long long>(seed_));
  }
  void TearDown() override { munmap(shared_, sizeof(Shared)); }

  // `work` in a process of its own, killed at its `step`-th step. Whether it came to its end.
  template <typename Work>
  bool came_to_its_end(uint64_t step, Work work) {
    const pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      set_kill_step(step);
      try {
        work();
      } catch (const Failure& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        _exit(1);
      }
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
    return WIFEXITED(status);
  }

  // The number of the save is all over the table, but for what was not changed since the first.
  static void change(char* table, uint64_t number, std::mt19937_64& random) {
    if (number == 1) std::memset(table, 0, sizeof(Shared::table));
    std::memcpy(table, &number, sizeof number);
    std::memcpy(table + 5000, &number, sizeof number);
    table[16 + random() % 4000] = static_cast<char>(random());
  }
  static uint64_t number_in(const char* table) {
    uint64_t first = 0, last = 0;
    std::memcpy(&first, table, sizeof first);
    std::memcpy(&last, table + 5000, sizeof last);
    EXPECT_EQ(first, last) << "a torn image";
    return first;
  }
  static Store open(const std::string& address) {
    auxin_checkpoint_remote_options options = AUXIN_CHECKPOINT_REMOTE_OPTIONS;
    options.piece_bytes = 2048;
    options.stall_ms = 20'000;
    return Store::at_server(address, "bank", options);
  }
  // Saves, from a process's beginning to its end.
  static void save_all(Shared* shared, const std::string& address, uint64_t seed) {
    std::mt19937_64 random(seed);
    State state;
    state.add_range(1, shared->table, sizeof shared->table);
    Store store = open(address);
    for (uint64_t number = 1; number <= kSaves; ++number) {
      change(shared->table, number, random);
      state.save(store);
      shared->kept = number;
    }
  }
  // What is there for one who comes later; 0: nothing.
  static uint64_t number_at(const std::string& address) {
    static char table[sizeof(Shared::table)];
    State state;
    state.add_range(1, table, sizeof table);
    Store store = open(address);
    const auxin_checkpoint_status status = auxin_checkpoint_restore(state.get(), store.get());
    if (status == AUXIN_CHECKPOINT_EMPTY) return 0;
    EXPECT_EQ(status, AUXIN_CHECKPOINT_OK) << auxin_checkpoint_last_error();
    return number_in(table);
  }

  // A receiver in a process of its own; returns when it listens.
  pid_t start_receiver(const std::string& address, uint64_t step) {
    int ready[2];
    if (pipe(ready) != 0) return -1;
    const pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      set_kill_step(step);
      try {
        const Receiver receiver(address);
        if (write(ready[1], "", 1) != 1) _exit(1);
        for (;;) pause();
      } catch (const Failure& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        _exit(1);
      }
    }
    close(ready[1]);
    char byte;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
  }

  Shared* shared_ = nullptr;
  uint64_t seed_ = 0;
};

TEST_F(KillSteps, ASaverKilledAtEachStepLeavesWhatItWasToldIsKept) {
  const uint64_t rounds = number_of("AUXIN_ROUNDS", 1);
  for (uint64_t round = 0; round < rounds; ++round) {
    uint64_t step = 1;
    for (bool ended = false; !ended; ++step) {
      ASSERT_LT(step, kMostSteps);
      test::StoreDirectory directory;
      ServerProcess server(directory.path("states"), {"--no-sync"});
      shared_->kept = 0;
      ended = came_to_its_end(step, [&] { save_all(shared_, server.address(), seed_ + round); });
      const uint64_t there = number_at(server.address());
      ASSERT_TRUE(there == shared_->kept || there == shared_->kept + 1)
          << there << " is there, " << shared_->kept << " were kept; step " << step;
    }
    EXPECT_GT(step, 10u) << "it was killed at some steps";
  }
}

TEST_F(KillSteps, AServerKilledAtEachStepHasWhatItSaidItKeptAndTheSaverGoesOn) {
  const uint64_t rounds = number_of("AUXIN_ROUNDS", 1);
  for (uint64_t round = 0; round < rounds; ++round) {
    uint64_t step = 1;
    for (bool killed = true; killed; ++step) {
      ASSERT_LT(step, kMostSteps);
      test::StoreDirectory directory;
      setenv("AUXIN_CHECKPOINT_KILL_STEP", std::to_string(step).c_str(), 1);
      ServerProcess server(directory.path("states"), {"--no-sync"});
      unsetenv("AUXIN_CHECKPOINT_KILL_STEP");
      shared_->kept = 0;
      const pid_t saver = fork();
      if (saver == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        try {
          save_all(shared_, server.address(), seed_ + round);
        } catch (const Failure& failure) {
          std::fprintf(stderr, "%s\n", failure.what());
          _exit(1);
        }
        _exit(0);
      }
      // Either the server dies, and one comes in its place; or the saver ends first.
      int status = 0;
      bool saver_ended = false;
      killed = false;
      while (!saver_ended && !killed) {
        killed = server.has_been_killed();
        saver_ended = waitpid(saver, &status, WNOHANG) == saver;
        poll(nullptr, 0, 1);
      }
      if (killed) {
        const uint64_t said = __atomic_load_n(&shared_->kept, __ATOMIC_SEQ_CST);
        server.start();
        ASSERT_GE(number_at(server.address()), said) << "step " << step;
      }
      if (!saver_ended) waitpid(saver, &status, 0);
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "step " << step;
      killed = killed || server.has_been_killed();
      if (!killed) {
        EXPECT_EQ(server.end_with(SIGTERM), 0);  // a look would be its next steps
      }
      if (!server.runs()) server.start();
      ASSERT_EQ(number_at(server.address()), uint64_t{kSaves}) << "step " << step;
    }
    EXPECT_GT(step, 10u);
  }
}

// Its images die with it: the next message that comes must be one that needs none.
TEST_F(KillSteps, AReceiverKilledAtEachStepIsBroughtForwardAgainByTheNextSaves) {
  test::StoreDirectory directory;
  uint64_t step = 1;
  for (bool killed = true; killed; ++step) {
    ASSERT_LT(step, kMostSteps);
    const std::string address = "unix:" + directory.path("in" + std::to_string(step));
    pid_t receiver = start_receiver(address, step);
    char table[sizeof(Shared::table)];
    std::mt19937_64 random(seed_);
    State state;
    state.add_range(1, table, sizeof table);
    auxin_checkpoint_remote_options options = AUXIN_CHECKPOINT_REMOTE_OPTIONS;
    options.give_up_ms = 300;   // the dead one is not waited for
    auxin_checkpoint_store* store = nullptr;
    killed = false;
    const auto at_receiver = [&](auto work) {
      auxin_checkpoint_status status = work();
      for (int tries = 0; status != AUXIN_CHECKPOINT_OK && tries < 3; ++tries) {
        if (waitpid(receiver, nullptr, WNOHANG) == receiver) {
          killed = true;
          receiver = start_receiver(address, 0);
        }
        status = work();
      }
      EXPECT_EQ(status, AUXIN_CHECKPOINT_OK) << auxin_checkpoint_last_error() << " step " << step;
    };
    at_receiver([&] {
      return auxin_checkpoint_store_open_remote(address.c_str(), "bank", &options, &store);
    });
    for (uint64_t number = 1; number <= kSaves; ++number) {
      change(table, number, random);
      at_receiver([&] { return auxin_checkpoint_save(state.get(), store); });
    }
    const std::vector<char> last(table, table + sizeof table);
    at_receiver([&] {
      const auxin_checkpoint_status status = auxin_checkpoint_restore(state.get(), store);
      // Killed since the last save: it has nothing, and is told again.
      if (status == AUXIN_CHECKPOINT_EMPTY) auxin_checkpoint_save(state.get(), store);
      return status;
    });
    EXPECT_EQ(std::memcmp(table, last.data(), sizeof table), 0) << "step " << step;
    auxin_checkpoint_store_close(store);
    kill_one(receiver, SIGKILL);
    waitpid(receiver, nullptr, 0);
  }
  EXPECT_GT(step, 10u);
}

}  // namespace
}  // namespace auxin::checkpoint
