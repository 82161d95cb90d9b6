// SPDX-License-Identifier: Apache-2.0
//
// Goal: in mode kIsolated wild stores reach nothing that is committed; commits happen exactly once
// however often the controller is killed; a memory has one controller.
// Method: clients in this process, the controller in another, killed at random or at will.
#include <sys/mman.h>

#include <algorithm>
#include <array>
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

struct Page : Stable {
  std::array<uint64_t, 128> words = {};
};

stable_ptr<Page> new_page(const Memory& memory) {
  return atomically(memory, [](Transaction& t) { return t.make<Page>().reference(); });
}

void add_to(const Memory& memory, stable_ptr<Page> page, uint64_t amount) {
  atomically(memory, [&](Transaction& t) {
    auto opened = t.open<Page>(page);
    for (uint64_t& word : opened->words) word += amount;
  });
}

bool is_all(const Memory& memory, stable_ptr<Page> page, uint64_t value) {
  return atomically(memory, [&](Transaction& t) {
    const auto opened = t.open<const Page>(page);
    return std::all_of(opened->words.begin(), opened->words.end(),
                       [&](uint64_t word) { return word == value; });
  });
}

// What a client committed last lies in its view; it counts only as long as nobody else has.
TEST_F(Isolated, WhatAnotherProgramCommittedIsSeen) {
  Memory memory = Memory::open(file_.path());
  const stable_ptr<Counter> counter = new_counter(memory);
  const stable_ptr<Page> page = new_page(memory);
  for (uint64_t round = 1; round < 20; ++round) {
    const int status = in_child([&] {
      Memory mine = Memory::open(file_.path());
      atomically(mine, [&](Transaction& t) { t.open<Counter>(counter)->value += 1; });
      add_to(mine, page, 1);
      return 0;
    });
    ASSERT_EQ(status, 0);
    EXPECT_EQ(value_of(memory, counter), 2 * round - 1);
    EXPECT_TRUE(is_all(memory, page, 2 * round - 1));
    atomically(memory, [&](Transaction& t) { t.open<Counter>(counter)->value += 1; });
    add_to(memory, page, 1);
  }
}

// An open that is aborted leaves its changes in the view.
TEST_F(Isolated, WhatWasAbortedIsNotSeenAgain) {
  Memory memory = Memory::open(file_.path());
  const stable_ptr<Page> page = new_page(memory);
  for (uint64_t round = 0; round < 5; ++round) {
    add_to(memory, page, 1);
    Transaction t(memory);
    t.Begin();
    t.open<Page>(page)->words.fill(99);
    t.Abort();
    EXPECT_TRUE(is_all(memory, page, round + 1));
  }
}

// The client looks at little of the banks: it is the controller that finds damage, at the commit.
TEST_F(Isolated, DamageInEitherBankIsMendedByTheNextCommit) {
  Memory memory = Memory::open(file_.path());
  const stable_ptr<Counter> counter = new_counter(memory);
  const stable_ptr<Page> page = new_page(memory);
  const int fd = open(file_.path().c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  const uint64_t noise = 0x5a5a5a5a5a5a5a5a;
  uint64_t commits = 0, repairs = memory.report().repairs;
  for (uint64_t bank = 0; bank < 2; ++bank) {
    const uint64_t from = bank * memory.report().bank_size_bytes;
    for (const uint64_t address : {counter.address(), page.address() + 512}) {
      ASSERT_EQ(pwrite(fd, &noise, sizeof(noise), static_cast<off_t>(from + address)), 8);
      atomically(memory, [&](Transaction& t) { t.open<Counter>(counter)->value += 1; });
      add_to(memory, page, 1);
      ++commits;
      EXPECT_EQ(memory.report().repairs, ++repairs) << "bank " << bank;
      EXPECT_EQ(value_of(memory, counter), commits);
      EXPECT_TRUE(is_all(memory, page, commits));
    }
  }
  close(fd);
  PhysicalMemory reader;
  ASSERT_TRUE(reader.map(file_.path(), PhysicalMemory::Access::kRead));
  EXPECT_EQ(survey(reader).damaged, 0u);
}

// Hints, and the rest of a channel but the request that is under way, hold whatever a wild store
// put there.
TEST_F(Isolated, HintsAreBelievedInNothing) {
  Memory memory = Memory::open(file_.path());
  const stable_ptr<Page> pages[2] = {new_page(memory), new_page(memory)};
  char* session = nullptr;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("auxin-stm-session") == std::string::npos) continue;
    session = reinterpret_cast<char*>(strtoull(line.c_str(), nullptr, 16));
  }
  ASSERT_NE(session, nullptr);
  std::atomic<bool> stop{false};
  std::thread wild([&] {
    std::mt19937_64 random(1);
    while (!stop.load()) {
      const uint64_t index = random() % kChannels;
      auto& channel = *reinterpret_cast<Channel*>(session + kChannelsOffset +
                                                  index * kChannelBytes);
      const uint64_t sorts[] = {random(), random() % (2 << 20), pages[random() % 2].address(),
                                (random() % 8192) * 32 + random() % 2};
      channel.hints.last[random() % kHints].store(sorts[random() % 4]);
      channel.hints.count.store(random() % 4 == 0 ? random() : channel.hints.count.load() + 1);
    }
  });
  for (uint64_t round = 0; round < 20'000; ++round) add_to(memory, pages[round % 2], 1);
  stop.store(true);
  wild.join();
  EXPECT_TRUE(is_all(memory, pages[0], 10'000));
  EXPECT_TRUE(is_all(memory, pages[1], 10'000));
  EXPECT_EQ(memory.report().repairs, 0u);
  PhysicalMemory reader;
  ASSERT_TRUE(reader.map(file_.path(), PhysicalMemory::Access::kRead));
  EXPECT_EQ(survey(reader).damaged + survey(reader).lost, 0u);
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
  EXPECT_GT(commits, 0u);
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

uint64_t descriptors_in(const std::string& path) {
  PhysicalMemory reader;
  EXPECT_TRUE(reader.map(path, PhysicalMemory::Access::kRead));
  uint64_t count = 0;
  survey(reader, [&](const ObjectSurvey& object) {
    count += object.header.kind() == ObjectKind::kDescriptor;
  });
  return count;
}

// A controller that comes while clients are there does not know whose descriptors they use.
TEST_F(Isolated, ClientsAndControllersThatDieLeaveNoDescriptors) {
  Memory memory = Memory::open(file_.path());  // so the board is never made anew
  const stable_ptr<Counter> counter = new_counter(memory);
  uint64_t before = 0;
  const auto increment = [&](Memory& through) {
    atomically(through, [&](Transaction& t) { t.open<Counter>(counter)->value += 1; });
  };
  for (int round = 0; round < 20; ++round) {
    in_child([&] {
      Memory mine = Memory::open(file_.path());
      increment(mine);
      raise(SIGKILL);
      return 0;
    });
    increment(memory);
    file_.stop_controller(SIGKILL);
    file_.start_controller();
    if (round == 1) before = descriptors_in(file_.path());
  }
  EXPECT_EQ(value_of(memory, counter), 40u);
  EXPECT_EQ(descriptors_in(file_.path()), before);
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
