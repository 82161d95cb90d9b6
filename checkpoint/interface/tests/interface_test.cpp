// SPDX-License-Identifier: Apache-2.0
//
// Goal: what <auxin/checkpoint.h> promises, through it alone.
#include "auxin/checkpoint.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "auxin/stm.h"
#include "checkpoint/store/tests/store_test_directory.h"
#include "tests/harness/kill_one.h"

extern "C" int checkpoint_c_program(const char* directory);

namespace auxin::checkpoint {
namespace {

struct Ledger {
  uint64_t entries[5000];
};

class CheckpointInterface : public testing::Test {
 protected:
  void SetUp() override {
    auxin_checkpoint_state* state = nullptr;
    if (auxin_checkpoint_state_create(nullptr, &state) == AUXIN_CHECKPOINT_UNAVAILABLE) {
      GTEST_SKIP() << auxin_checkpoint_last_error();
    }
    auxin_checkpoint_state_destroy(state);
    store_options_.no_sync = 1;
  }

  test::StoreDirectory directory_;
  auxin_checkpoint_store_options store_options_ = AUXIN_CHECKPOINT_STORE_OPTIONS;
};

TEST_F(CheckpointInterface, AProgramInCSavesAndRestores) {
  EXPECT_EQ(checkpoint_c_program(directory_.path().c_str()), 0) << auxin_checkpoint_last_error();
}

TEST_F(CheckpointInterface, AKilledProgramGoesOnWhereItHadSaved) {
  constexpr int kRuns = 8;
  for (int run = 0; run < kRuns; ++run) {
    const pid_t child = fork();
    if (child == 0) {
      static Ledger ledger;
      uint64_t counter = 0;
      Store store(directory_.path(), store_options_);
      State state;
      state.add_range(1, &ledger, sizeof(ledger));
      const auxin_checkpoint_mark mark = state.add_object(2, &counter);
      const bool restored = state.restore(store);
      if (restored != (run > 0) || counter != static_cast<uint64_t>(run) * 10) _exit(1);
      for (int step = 0; step < 10; ++step) {
        ledger.entries[counter * 61] = counter;
        ++counter;
        auxin_checkpoint_changed(mark);
        state.save(store);
      }
      for (uint64_t i = 0; i < counter; ++i) {
        if (ledger.entries[i * 61] != i) _exit(2);
      }
      ledger.entries[0] = 99;  // never saved
      kill(getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit status " << WEXITSTATUS(status);
  }
}

TEST_F(CheckpointInterface, SavesThatReturnAfterThePauseKeepTheMoment) {
  std::vector<char> memory(3 << 20, 'a');
  Store store(directory_.path(), store_options_);
  State state;
  state.add_range(1, memory.data(), memory.size());
  for (char letter = 'b'; letter < 'g'; ++letter) {
    std::memset(memory.data(), letter, memory.size());
    state.save_begin(store);
    std::memset(memory.data(), '!', memory.size());
    state.save_wait();
    const ReceivedImage image = store.read();
    EXPECT_EQ(std::string(static_cast<const char*>(image.region(1).first), memory.size()),
              std::string(memory.size(), letter));
  }
  EXPECT_EQ(state.statistics().saves, 5u);
}

TEST_F(CheckpointInterface, ArenasComeBackWithTheirPointers) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the sanitizer leaves arenas no place of their own";
#endif
  struct Node {
    Node* next;
    int value;
  };
  // In processes of their own, so that the arena is mapped in its place each time.
  for (int run = 0; run < 3; ++run) {
    const pid_t child = fork();
    if (child == 0) {
      Store store(directory_.path(), store_options_);
      State state;
      auxin_checkpoint_arena* arena = state.create_arena(7, 1 << 20);
      if (state.restore(store) != (run > 0) || auxin_checkpoint_arena_moved(arena)) _exit(1);
      int length = 0;
      for (Node* node = static_cast<Node*>(auxin_checkpoint_arena_root(arena)); node != nullptr;
           node = node->next) {
        if (node->value != run * 100 - 1 - length++) _exit(2);
      }
      if (length != run * 100) _exit(3);
      for (int i = 0; i < 100; ++i) {
        auxin_checkpoint_arena_free(arena, auxin_checkpoint_arena_allocate(arena, 40));
        Node* node =
            static_cast<Node*>(auxin_checkpoint_arena_allocate(arena, sizeof(Node)));
        *node = {static_cast<Node*>(auxin_checkpoint_arena_root(arena)), run * 100 + i};
        auxin_checkpoint_arena_set_root(arena, node);
      }
      state.save(store);
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
  }
}

TEST_F(CheckpointInterface, AnArenaGivesWhatIsFreedAgainAndBecomesFull) {
  State state;
  auxin_checkpoint_arena* arena = state.create_arena(1, 64 << 10);
  std::vector<void*> blocks;
  while (void* block = auxin_checkpoint_arena_allocate(arena, 1000)) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 16, 0u);
    std::memset(block, 1, 1000);
    blocks.push_back(block);
  }
  EXPECT_GT(blocks.size(), 50u);
  EXPECT_LT(auxin_checkpoint_arena_free_bytes(arena), 1024u);
  void* const last = blocks.back();
  auxin_checkpoint_arena_free(arena, last);
  EXPECT_EQ(auxin_checkpoint_arena_allocate(arena, 990), last);
  EXPECT_EQ(auxin_checkpoint_arena_allocate(arena, UINT64_MAX), nullptr);
}

TEST_F(CheckpointInterface, AStoreThatIsFullCostsNoChange) {
  std::vector<char> memory(100000, 'a');
  Store store(directory_.path(), store_options_);
  State state;
  state.add_range(1, memory.data(), memory.size());
  state.save(store);
  memory[5] = 'b';
  // Something stands where the next file would be made.
  const std::string unfinished = directory_.path() + "/.unfinished-00000000000000000002-increment";
  std::filesystem::create_directory(unfinished);
  EXPECT_THROW(state.save(store), Failure);
  std::filesystem::remove(unfinished);
  memory[70000] = 'c';
  state.save(store);
  const ReceivedImage image = store.read();
  EXPECT_EQ(std::memcmp(image.region(1).first, memory.data(), memory.size()), 0);
  EXPECT_EQ(state.statistics().failed_saves, 1u);
  EXPECT_EQ(store.report().messages, 2u) << "the two increments went as one";
}

TEST_F(CheckpointInterface, AnotherRunsImageIsNotOverwrittenUnseen) {
  int value = 1;
  {
    Store store(directory_.path(), store_options_);
    State state;
    state.add_object(1, &value);
    state.save(store);
  }
  Store store(directory_.path(), store_options_);
  State state;
  state.add_object(1, &value);
  try {
    state.save(store);
    FAIL() << "it must be restored first";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.status(), AUXIN_CHECKPOINT_FOREIGN);
  }
  EXPECT_TRUE(state.restore(store));
  state.save(store);
}

TEST_F(CheckpointInterface, EachNthMessageIsABaseHoweverOftenTheProgramIsStartedAgain) {
  uint64_t runs = 0;
  for (uint64_t run = 0; run < 10; ++run) {
    auxin_checkpoint_options options = AUXIN_CHECKPOINT_OPTIONS;
    options.base_every = 4;
    Store store(directory_.path(), store_options_);
    State state(options);
    const auxin_checkpoint_mark mark = state.add_object(1, &runs);
    runs = 0;
    EXPECT_EQ(state.restore(store), run > 0);
    EXPECT_EQ(runs, run);
    ++runs;
    auxin_checkpoint_changed(mark);
    state.save(store);
    EXPECT_EQ(store.report().messages, run % 4 + 1);
  }
}

TEST_F(CheckpointInterface, TheProgramsSignalsGoToItsOwnThreads) {
  EXPECT_EXIT(
      {
        uint32_t word = 1;
        State state;
        state.add_range(1, &word, sizeof(word));
        Store store(directory_.path(), store_options_);
        state.schedule(store, 0, 10'000);
        const Receiver receiver("tcp:127.0.0.1:0");
        sigset_t mine;
        sigemptyset(&mine);
        sigaddset(&mine, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &mine, nullptr);
        kill_one(getpid(), SIGTERM);  // ends a thread that takes it, and the process with it
        int taken = 0;
        _exit(sigwait(&mine, &taken) == 0 && taken == SIGTERM ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST_F(CheckpointInterface, EveryNthRequestIsSaved) {
  uint64_t requests = 0;
  Store store(directory_.path(), store_options_);
  State state;
  const auxin_checkpoint_mark mark = state.add_object(1, &requests);
  state.schedule(store, 10, 0);
  for (; requests < 35;) {
    ++requests;
    auxin_checkpoint_changed(mark);
    state.request_done();
    state.save_wait();
  }
  EXPECT_EQ(state.statistics().saves, 3u);
  uint64_t saved = 0;
  std::memcpy(&saved, store.read().region(1).first, sizeof(saved));
  EXPECT_EQ(saved, 30u);
  state.schedule(store, 0, 0);
}

TEST_F(CheckpointInterface, TheTimerSavesUntilItIsStopped) {
  uint64_t value = 5;
  Store store(directory_.path(), store_options_);
  State state;
  state.add_object(1, &value);
  state.schedule(store, 0, 1);
  while (state.statistics().saves < 3) usleep(500);
  state.schedule(store, 0, 0);
  const uint64_t saves = state.statistics().saves;
  EXPECT_EQ(store.report().sequence, saves);
}

TEST_F(CheckpointInterface, MessagesAreMergedCutAndPutTogether) {
  std::vector<char> memory(50000, 'a');
  State state;
  state.add_range(1, memory.data(), memory.size());
  state.set_user_word(12);
  state.capture();
  const Message base = state.take_message();
  EXPECT_EQ(base.info().base, 1u);
  EXPECT_EQ(base.info().user_word, 12u);
  memory[3] = 'b';
  state.capture();
  const Message next = state.take_message();
  memory[40000] = 'c';
  state.capture();
  const Message third = state.take_message();
  const Message both = next.followed_by(third);
  const uint32_t count = auxin_checkpoint_piece_count(both.get(), 1000);
  auxin_checkpoint_assembly* assembly = nullptr;
  demand(auxin_checkpoint_assembly_create(1 << 20, &assembly));
  auxin_checkpoint_message* whole = nullptr;
  EXPECT_EQ(auxin_checkpoint_assembly_take(assembly, &whole), AUXIN_CHECKPOINT_INCOMPLETE);
  for (uint32_t i = count; i-- > 0;) {
    char piece[1100];
    uint64_t size_bytes = sizeof(piece);
    demand(auxin_checkpoint_piece(both.get(), 1000, i, piece, &size_bytes));
    demand(auxin_checkpoint_assembly_add(assembly, piece, size_bytes));
  }
  demand(auxin_checkpoint_assembly_take(assembly, &whole));
  auxin_checkpoint_assembly_destroy(assembly);
  ReceivedImage image;
  image.apply(base);
  image.apply(Message(whole));
  EXPECT_EQ(std::memcmp(image.region(1).first, memory.data(), memory.size()), 0);
  ReceivedImage joined;
  joined.apply(image.to_base());
  EXPECT_EQ(joined.sequence(), image.sequence());
  EXPECT_EQ(std::memcmp(joined.region(1).first, memory.data(), memory.size()), 0);
  EXPECT_THROW(image.apply(next), Failure);
  std::vector<char> bytes(static_cast<const char*>(base.bytes().first),
                          static_cast<const char*>(base.bytes().first) + base.bytes().second);
  bytes[bytes.size() / 2] ^= 1;
  EXPECT_THROW(Message::of_bytes(bytes.data(), bytes.size()), Failure);
}

TEST_F(CheckpointInterface, MessagesGoThroughADescriptorIntoAStableMemory) {
  stm::Memory::create(directory_.path("memory"));
  uint64_t value = 5;
  State state;
  const auxin_checkpoint_mark mark = state.add_object(1, &value);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  {
    Store store = Store::in_stable_memory(directory_.path("memory"), "values");
    for (; value < 8; ++value, auxin_checkpoint_changed(mark)) {
      state.capture();
      state.take_message().send(ends[1]);
      store.put(Message::receive(ends[0], 1 << 20));
    }
  }
  close(ends[0]);
  close(ends[1]);
  Store store = Store::in_stable_memory(directory_.path("memory"), "values");
  value = 0;
  EXPECT_TRUE(state.restore(store));
  EXPECT_EQ(value, 7u);
}

// The bytes of a small file of /proc; none if there is none, or the process has left its memory.
std::string proc_file(pid_t process, const std::string& name) {
  std::ifstream file("/proc/" + std::to_string(process) + "/" + name);
  std::string line;
  std::getline(file, line);
  return line;
}

TEST_F(CheckpointInterface, AKilledProgramsLocksEndWithItThoughAChildHoldsItsImage) {
  auxin_checkpoint_options options = AUXIN_CHECKPOINT_OPTIONS;
  options.method = AUXIN_CHECKPOINT_FORK;
  constexpr int kTries = 20;  // the child may have done all before this process looks
  bool outlives_them = false;
  for (int run = 0; run < kTries && !outlives_them; ++run) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const pid_t program = fork();
    if (program == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      std::vector<char> memory(64 << 20, 'a');
      State state(options);
      state.add_range(1, memory.data(), memory.size());
      state.capture();
      const pid_t child = std::atoi(proc_file(getpid(), "task/" + std::to_string(getpid()) +
                                                            "/children").c_str());
      if (write(ends[1], &child, sizeof(child)) != sizeof(child)) _exit(1);
      kill(getpid(), SIGKILL);
    }
    close(ends[1]);
    pid_t child = 0;
    ASSERT_EQ(read(ends[0], &child, sizeof(child)), static_cast<ssize_t>(sizeof(child)));
    char nothing = 0;
    EXPECT_EQ(read(ends[0], &nothing, 1), 0) << "until nobody has the other end";
    outlives_them = child > 0 && !proc_file(child, "maps").empty();
    close(ends[0]);
    int status = 0;
    ASSERT_EQ(waitpid(program, &status, 0), program);
    ASSERT_TRUE(WIFSIGNALED(status));
  }
  EXPECT_TRUE(outlives_them) << "the child kept its parent's descriptors until its end";
}

TEST_F(CheckpointInterface, StatisticsNameTheMethodAndItsReason) {
  std::vector<char> memory(1 << 20, 'a');
  State state;
  state.add_range(1, memory.data(), memory.size());
  state.capture();
  state.take_message();
  const auxin_checkpoint_statistics statistics = state.statistics();
  EXPECT_NE(statistics.method, static_cast<uint32_t>(AUXIN_CHECKPOINT_AUTOMATIC));
  EXPECT_STRNE(statistics.reason, "");
  EXPECT_GT(statistics.last_pause_us, 0);
  EXPECT_EQ(statistics.bases, 1u);
  EXPECT_GE(statistics.last_content_bytes, memory.size());
}

}  // namespace
}  // namespace auxin::checkpoint
