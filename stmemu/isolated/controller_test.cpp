// SPDX-License-Identifier: Apache-2.0
//
// Goal: in mode kIsolated wild stores reach nothing that is committed; commits happen exactly once
// however often the controller is killed; a memory has one controller.
// Method: clients in this process, the controller in another, killed at random or at will.
#include <sys/mman.h>

#include <atomic>
#include <fstream>
#include <random>
#include <thread>

#include "stmemu/interface/test_memory_file.h"
#include "stmemu/transaction/recovery.h"
#include "stmemu/transaction/survey.h"

namespace auxin::stm {
namespace {

struct Counter : Stable {
  uint64_t value = 0;
};

class Isolated : public testing::Test {
 protected:
  MemoryFile file_{Mode::kIsolated};
};

stable_ptr<Counter> new_counter(const Memory& memory) {
  return atomically(memory, [](Transaction& t) { return t.make<Counter>().reference(); });
}

uint64_t value_of(const Memory& memory, stable_ptr<Counter> counter) {
  return atomically(memory, [&](Transaction& t) { return t.open<const Counter>(counter)->value; });
}

TEST_F(Isolated, WithoutAControllerAProgramIsToldWhatToDo) {
  file_.stop_controller(SIGTERM);
  try {
    Memory::open(file_.path());
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.status(), Status::kUnreachable);
    EXPECT_NE(std::string(failure.what()).find("auxin stm serve"), std::string::npos);
  }
  file_.start_controller();
}

TEST_F(Isolated, AMemoryHasOneController) {
  auto second = Controller::make(file_.path());
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().find("controller already"), std::string::npos) << second.error();
}

TEST_F(Isolated, TheBanksCannotBeMadeWritable) {
  Memory memory = Memory::open(file_.path());
  const stable_ptr<Counter> counter = new_counter(memory);
  std::ifstream maps("/proc/self/maps");
  std::string line;
  int banks = 0;
  while (std::getline(maps, line)) {
    unsigned long from, to, offset;
    char rights[8];
    if (line.find(file_.path()) == std::string::npos ||
        sscanf(line.c_str(), "%lx-%lx %7s %lx", &from, &to, rights, &offset) != 4) {
      continue;
    }
    if (offset >= memory.report().bank_size_bytes * 2) continue;  // the board
    ++banks;
    EXPECT_EQ(rights[1], '-') << line;
    EXPECT_NE(mprotect(reinterpret_cast<void*>(from), to - from, PROT_READ | PROT_WRITE), 0);
  }
  EXPECT_GT(banks, 0);
  EXPECT_EQ(value_of(memory, counter), 0u);
}

TEST_F(Isolated, WildStoresIntoTheViewAreNothing) {
  Memory memory = Memory::open(file_.path());
  const stable_ptr<Counter> counter = new_counter(memory);
  counter->value = 77;  // not open
  EXPECT_EQ(value_of(memory, counter), 0u);
  Transaction t(memory);
  t.Begin();
  {
    auto open = t.open<Counter>(counter);
    open->value = 5;
  }
  t.Commit();
  counter->value = 78;
  std::thread([&] {
    Memory other = Memory::open(file_.path());
    EXPECT_EQ(value_of(other, counter), 5u);
  }).join();
}

TEST_F(Isolated, ACommitOfThousandsOfObjects) {
  Memory memory = Memory::open(file_.path());
  std::vector<stable_ptr<Counter>> counters;
  atomically(memory, [&](Transaction& t) {
    counters.clear();
    for (int i = 0; i < 5000; ++i) counters.push_back(t.make<Counter>().reference());
  });
  atomically(memory, [&](Transaction& t) {
    for (const auto& counter : counters) t.open<Counter>(counter)->value = 3;
  });
  uint64_t sum = 0;
  atomically(memory, [&](Transaction& t) {
    sum = 0;
    for (const auto& counter : counters) sum += t.open<const Counter>(counter)->value;
  });
  EXPECT_EQ(sum, 15000u);
}

TEST_F(Isolated, CommitsHappenOnceHoweverOftenTheControllerDies) {
  const char* given = getenv("AUXIN_SEED");
  const uint64_t seed = given != nullptr ? strtoull(given, nullptr, 0) : std::random_device{}();
  SCOPED_TRACE("AUXIN_SEED=" + std::to_string(seed));
  const char* rounds_text = getenv("AUXIN_ROUNDS");
  const int rounds = rounds_text != nullptr ? atoi(rounds_text) : 60;

  Memory memory = Memory::open(file_.path());
  const stable_ptr<Counter> one = new_counter(memory), two = new_counter(memory);
  std::atomic<bool> stop{false};
  uint64_t commits = 0;
  std::thread client([&] {
    while (!stop.load()) {
      atomically(memory, [&](Transaction& t) {
        t.open<Counter>(one)->value += 1;
        t.open<Counter>(two)->value += 1;
      });
      ++commits;
    }
  });
  std::mt19937_64 random(seed);
  for (int round = 0; round < rounds; ++round) {
    usleep(static_cast<useconds_t>(random() % 5000));
    file_.stop_controller(SIGKILL);
    file_.start_controller();
  }
  stop.store(true);
  client.join();
  EXPECT_EQ(value_of(memory, one), commits);
  EXPECT_EQ(value_of(memory, two), commits);
  EXPECT_GT(commits, static_cast<uint64_t>(rounds));
  PhysicalMemory reader;
  ASSERT_TRUE(reader.map(file_.path(), PhysicalMemory::Access::kRead));
  const Survey seen = survey(reader);
  EXPECT_EQ(seen.damaged + seen.lost, 0u) << (seen.damage.empty() ? "" : seen.damage[0]);
}

// So many changes are sent in parts, and a controller knows only what it was sent itself.
TEST_F(Isolated, ACommitInPartsIsWholeHoweverOftenTheControllerDies) {
  const char* rounds_text = getenv("AUXIN_ROUNDS");
  const int rounds = rounds_text != nullptr ? atoi(rounds_text) : 60;
  constexpr uint64_t kCounters = 3 * kMostChanges;
  Memory memory = Memory::open(file_.path());
  std::vector<stable_ptr<Counter>> counters;
  atomically(memory, [&](Transaction& t) {
    counters.clear();
    while (counters.size() < kCounters) counters.push_back(t.make<Counter>().reference());
  });
  std::atomic<bool> stop{false};
  uint64_t commits = 0, torn = 0;
  std::thread client([&] {
    while (!stop.load()) {
      atomically(memory, [&](Transaction& t) {
        for (const auto& counter : counters) {
          auto opened = t.open<Counter>(counter);
          torn += opened->value != commits;
          opened->value = commits + 1;
        }
      });
      ++commits;
    }
  });
  for (int round = 0; round < rounds; ++round) {
    usleep(static_cast<useconds_t>(2000 + 131 * round));
    file_.stop_controller(SIGKILL);
    file_.start_controller();
  }
  stop.store(true);
  client.join();
  EXPECT_EQ(torn, 0u);
  EXPECT_GT(commits, 10u);
}

// A thread that has ended leaves its descriptor to the next one of its process.
TEST_F(Isolated, ADescriptorDamagedInBothBanksIsNotGivenOutAgain) {
  Memory memory = Memory::open(file_.path());
  const auto work = [&] {
    std::thread([&] {
      EXPECT_EQ(status_of([&] { new_counter(memory); }), Status::kOk);
    }).join();
  };
  work();
  std::vector<uint64_t> descriptors;
  {
    PhysicalMemory reader;
    ASSERT_TRUE(reader.map(file_.path(), PhysicalMemory::Access::kRead));
    survey(reader, [&](const ObjectSurvey& object) {
      if (object.header.kind() == ObjectKind::kDescriptor &&
          object.header.type() == kChannelDescriptorType) {
        descriptors.push_back(object.place.contents);
      }
    });
  }
  EXPECT_EQ(descriptors.size(), 1u);
  const uint64_t bank_bytes = memory.report().bank_size_bytes;
  const int file = open(file_.path().c_str(), O_RDWR | O_CLOEXEC);
  for (const uint64_t descriptor : descriptors) {
    for (const uint64_t bank : {uint64_t{0}, bank_bytes}) {
      const uint64_t garbage = 0x5a5a5a5a5a5a5a5a;
      EXPECT_EQ(pwrite(file, &garbage, sizeof(garbage), static_cast<off_t>(bank + descriptor)),
                static_cast<ssize_t>(sizeof(garbage)));
    }
  }
  close(file);
  work();
}

TEST_F(Isolated, AKilledClientLeavesNothingBehind) {
  Memory memory = Memory::open(file_.path());
  const stable_ptr<Counter> counter = new_counter(memory);
  for (int round = 0; round < 10; ++round) {
    const int status = in_child([&] {
      Memory mine = Memory::open(file_.path());
      Transaction t(mine);
      t.Begin();
      t.open<Counter>(counter)->value = 9;
      raise(SIGKILL);
      return 0;
    });
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(value_of(memory, counter), 0u);
  }
}

}  // namespace
}  // namespace auxin::stm
