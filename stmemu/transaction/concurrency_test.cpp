// SPDX-License-Identifier: Apache-2.0
//
// Goal: transactions of threads and processes that run at once could have run one after the other;
// who meets an open object learns it at once, waits for it, or is told that waiting would never
// end; who dies holds nobody up.
// Method: workers in threads and processes open random objects, each of which holds its version;
// every transaction notes which versions it read and wrote. From that the graph of who must come
// before whom is made: it has no cycle. Each way to meet an open object is tried by itself.
#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <map>
#include <thread>

#include "stmemu/test_memory.h"
#include "stmemu/transaction/activation.h"
#include "stmemu/transaction/contexts.h"
#include "stmemu/transaction/recovery.h"
#include "tests/harness/kill_one.h"

namespace auxin::stm {
namespace {

constexpr Wait kLong = Wait::up_to_us(60'000'000);  // longer than any test takes

std::unique_ptr<Activation> activate(PhysicalMemory& memory) {
  std::unique_ptr<Activation> activation;
  EXPECT_EQ(Activation::make(memory, &activation), Status::kOk);
  return activation;
}

class ConcurrencyTest : public testing::Test {
 protected:
  ConcurrencyTest() {
    CreateOptions options;
    options.bank_size_bytes = 256 * kPageBytes;
    const Result<bool> created = create_memory(path_, options);
    EXPECT_TRUE(created) << created.error();
    const Result<Findings> attached = attach(memory_, path_);
    EXPECT_TRUE(attached) << attached.error();
    const std::unique_ptr<Activation> activation = activate(memory_);
    EXPECT_EQ(activation->begin(), Status::kOk);
    for (uint64_t& address : objects_) {
      EXPECT_EQ(activation->allocate(40, ObjectKind::kUser, 0, &address), Status::kOk);
    }
    EXPECT_EQ(activation->commit(), Status::kOk);
  }

  uint64_t value_of(uint64_t address) {
    const std::unique_ptr<Activation> activation = activate(memory_);
    uint64_t value = 0;
    EXPECT_EQ(activation->begin(), Status::kOk);
    EXPECT_EQ(activation->open(address, OpenFor::kReading, Wait::none()), Status::kOk)
        << activation->message();
    EXPECT_EQ(activation->read(address, 0, &value, 8), Status::kOk);
    EXPECT_EQ(activation->commit(), Status::kOk);
    return value;
  }
  static void set(Activation& activation, uint64_t address, uint64_t value) {
    EXPECT_EQ(activation.open(address, OpenFor::kChanging, Wait::none()), Status::kOk)
        << activation.message();
    EXPECT_EQ(activation.write(address, 0, &value, 8), Status::kOk);
  }
  // Until somebody's transaction waits for that object.
  void await_waiter(uint64_t address) {
    Place place{};
    ASSERT_TRUE(locate(memory_, address, &place));
    for (;;) {
      for (const Context& context : memory_.board().contexts) {
        if (context.waits_for.load() == place.header) return;
      }
      std::this_thread::yield();
    }
  }

  TestDirectory directory_;
  const std::string path_ = directory_.file("memory");
  PhysicalMemory memory_;
  uint64_t objects_[10] = {};
};

// --- meeting an open object ---

TEST_F(ConcurrencyTest, AnOpenObjectIsAConflictAtOnceEvenForReading) {
  const std::unique_ptr<Activation> first = activate(memory_), second = activate(memory_);
  ASSERT_EQ(first->begin(), Status::kOk);
  ASSERT_EQ(second->begin(), Status::kOk);
  ASSERT_EQ(first->open(objects_[0], OpenFor::kReading, Wait::none()), Status::kOk);
  EXPECT_EQ(second->open(objects_[0], OpenFor::kReading, Wait::none()), Status::kConflict);
  EXPECT_EQ(second->open(objects_[0], OpenFor::kReading, Wait::up_to_us(2000)),
            Status::kConflict);
  EXPECT_TRUE(second->active()) << "it can go on with something else";
  EXPECT_EQ(second->open(objects_[1], OpenFor::kChanging, Wait::none()), Status::kOk);
  ASSERT_EQ(first->close(objects_[0]), Status::kOk);
  EXPECT_EQ(second->open(objects_[0], OpenFor::kReading, Wait::none()), Status::kConflict)
      << "what is closed stays its owner's to the end";
  ASSERT_EQ(first->commit(), Status::kOk);
  EXPECT_EQ(second->open(objects_[0], OpenFor::kReading, Wait::none()), Status::kOk);
  EXPECT_EQ(second->commit(), Status::kOk);
}

TEST_F(ConcurrencyTest, WhoWaitsGetsTheObjectWhenItsHolderEnds) {
  for (const bool commits : {true, false}) {
    const std::unique_ptr<Activation> first = activate(memory_);
    ASSERT_EQ(first->begin(), Status::kOk);
    set(*first, objects_[0], 11);
    uint64_t seen = 99;
    std::jthread waiter([&] {
      const std::unique_ptr<Activation> second = activate(memory_);
      EXPECT_EQ(second->begin(), Status::kOk);
      EXPECT_EQ(second->open(objects_[0], OpenFor::kChanging, kLong), Status::kOk);
      EXPECT_EQ(second->read(objects_[0], 0, &seen, 8), Status::kOk);
      set(*second, objects_[0], 0);
      EXPECT_EQ(second->commit(), Status::kOk);
    });
    await_waiter(objects_[0]);
    ASSERT_EQ(commits ? first->commit() : first->abort(), Status::kOk);
    waiter.join();
    EXPECT_EQ(seen, commits ? 11u : 0u);
  }
}

TEST_F(ConcurrencyTest, OfACircleThatWaitsOneIsTold) {
  for (const int size : {2, 3, 5}) {
    std::atomic<int> ready{0}, deadlocks{0}, got{0};
    std::vector<std::jthread> threads;
    for (int mine = 0; mine < size; ++mine) {
      threads.emplace_back([&, mine] {
        const std::unique_ptr<Activation> activation = activate(memory_);
        EXPECT_EQ(activation->begin(), Status::kOk);
        set(*activation, objects_[mine], 5);
        ++ready;
        while (ready < size) std::this_thread::yield();
        const Status status =
            activation->open(objects_[(mine + 1) % size], OpenFor::kChanging, kLong);
        EXPECT_TRUE(status == Status::kOk || status == Status::kDeadlock);
        ++(status == Status::kOk ? got : deadlocks);
        EXPECT_EQ(activation->abort(), Status::kOk);
      });
    }
    threads.clear();
    EXPECT_GE(deadlocks.load(), 1);
    EXPECT_EQ(deadlocks + got, size);
  }
}

// --- who dies ---

TEST_F(ConcurrencyTest, TheTransactionOfAThreadThatEndsIsAborted) {
  std::jthread([&] {
    Activation* left = activate(memory_).release();  // as a thread that forgets it
    EXPECT_EQ(left->begin(), Status::kOk);
    set(*left, objects_[0], 77);
  }).join();
  EXPECT_EQ(value_of(objects_[0]), 0u);
  EXPECT_EQ(memory_.board().statistics.recovered.load(), 1u);
}

TEST_F(ConcurrencyTest, TheTransactionOfAKilledProcessIsAborted) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = in_child([&] {
    PhysicalMemory memory;
    if (!attach(memory, path_)) return 1;
    std::unique_ptr<Activation> activation;
    if (Activation::make(memory, &activation) != Status::kOk) return 2;
    if (activation->begin() != Status::kOk) return 3;
    const uint64_t value = 66;
    if (activation->open(objects_[0], OpenFor::kChanging, Wait::none()) != Status::kOk) return 4;
    if (activation->write(objects_[0], 0, &value, 8) != Status::kOk) return 5;
    if (write(ready[1], "r", 1) != 1) return 6;
    pause();
    return 7;
  });
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  // One who waits for it gets it.
  uint64_t seen = 99;
  std::jthread waiter([&] {
    const std::unique_ptr<Activation> activation = activate(memory_);
    EXPECT_EQ(activation->begin(), Status::kOk);
    EXPECT_EQ(activation->open(objects_[0], OpenFor::kReading, kLong), Status::kOk);
    EXPECT_EQ(activation->read(objects_[0], 0, &seen, 8), Status::kOk);
    EXPECT_EQ(activation->commit(), Status::kOk);
  });
  await_waiter(objects_[0]);
  kill_one(child, SIGKILL);
  EXPECT_EQ(end_of(child), -SIGKILL);
  waiter.join();
  EXPECT_EQ(seen, 0u);
  EXPECT_EQ(value_of(objects_[0]), 0u);
  close(ready[0]);
  close(ready[1]);
}

// A thread that died after it had named the descriptor, but before it could claim it.
TEST_F(ConcurrencyTest, WhoDiedOnTheWayToADescriptorDoesNotEndWhatRunsOnIt) {
  const std::unique_ptr<Activation> activation = activate(memory_);
  uint64_t descriptor = 0;
  ASSERT_EQ(activation->begin(), Status::kOk);
  ASSERT_EQ(activation->allocate(kDescriptorBytes, ObjectKind::kDescriptor, 0, &descriptor),
            Status::kOk);
  ASSERT_EQ(activation->commit(), Status::kOk);
  ASSERT_EQ(activation->use_descriptor(descriptor), Status::kOk);
  ASSERT_EQ(activation->begin(), Status::kOk);
  set(*activation, objects_[0], 5);
  std::jthread([&] {
    const uint32_t index = take_context(memory_);
    Context& context = memory_.board().contexts[index];
    context.descriptor.store(descriptor);
    context.active.store(OwnerWord::activity(index, context.activations.fetch_add(1) + 1));
  }).join();
  recover_dead_contexts(memory_);
  set(*activation, objects_[1], 6);
  ASSERT_EQ(activation->commit(), Status::kOk);
  EXPECT_EQ(value_of(objects_[0]), 5u);
  EXPECT_EQ(value_of(objects_[1]), 6u);
}

TEST_F(ConcurrencyTest, ADescriptorRunsOneTransactionAtATime) {
  const std::unique_ptr<Activation> first = activate(memory_), second = activate(memory_);
  uint64_t descriptor = 0;
  ASSERT_EQ(first->begin(), Status::kOk);
  ASSERT_EQ(first->allocate(kDescriptorBytes, ObjectKind::kDescriptor, 0, &descriptor),
            Status::kOk);
  EXPECT_EQ(first->free(first->descriptor()), Status::kConflict) << "it runs on it";
  ASSERT_EQ(first->commit(), Status::kOk);
  ASSERT_EQ(first->use_descriptor(descriptor), Status::kOk);
  ASSERT_EQ(second->use_descriptor(descriptor), Status::kOk);
  ASSERT_EQ(first->begin(), Status::kOk);
  set(*first, objects_[0], 5);
  EXPECT_EQ(second->begin(), Status::kConflict);
  ASSERT_EQ(first->commit(), Status::kOk);
  ASSERT_EQ(second->begin(), Status::kOk);
  set(*second, objects_[0], 6);
  ASSERT_EQ(second->abort(), Status::kOk);
  // Another context's own is not to be used or freed by anybody else.
  const uint64_t own = [&] {
    EXPECT_EQ(first->use_descriptor(0), Status::kOk);
    return first->descriptor();
  }();
  if (second->use_descriptor(own) == Status::kOk) {
    EXPECT_NE(second->begin(), Status::kOk);
  }
  ASSERT_EQ(second->use_descriptor(0), Status::kOk);
  ASSERT_EQ(second->begin(), Status::kOk);
  EXPECT_NE(second->free(own), Status::kOk);
  EXPECT_EQ(value_of(objects_[0]), 5u);
}

// --- histories ---

constexpr int kTouched = 4;
constexpr uint64_t kPerWorker = 3000;

struct Touch {
  uint32_t object;
  bool wrote;
  uint64_t version;  // that was read; what was written is the next
};
struct Noted {
  uint32_t touches;
  Touch touch[kTouched];
};
struct Journal {
  std::atomic<uint64_t> count;
  Noted transactions[kPerWorker];
};

// One that opens a few objects in any order, sometimes waiting, sometimes giving up. False: failed.
bool one_transaction(Activation& activation, const uint64_t* objects, std::mt19937_64& random,
                     Noted* noted) {
  noted->touches = 0;
  if (activation.begin() != Status::kOk) return false;
  const uint32_t wanted = 1 + static_cast<uint32_t>(random() % kTouched);
  const uint32_t first = static_cast<uint32_t>(random() % 10);
  for (uint32_t at = 0; at < wanted; ++at) {
    Touch& touch = noted->touch[noted->touches];
    touch.object = (first + at * 3) % 10;
    touch.wrote = random() % 2 == 0;
    const uint64_t address = objects[touch.object];
    const Status status =
        activation.open(address, touch.wrote ? OpenFor::kChanging : OpenFor::kReading,
                        random() % 2 == 0 ? Wait::none() : Wait::up_to_us(3000));
    if (is_retryable(status)) {
      noted->touches = 0;
      return activation.abort() == Status::kOk;
    }
    if (status != Status::kOk) return false;
    // The version stands at both ends of the object: a mixture would show.
    uint64_t ends[2] = {0, 0};
    if (activation.read(address, 0, &ends[0], 8) != Status::kOk ||
        activation.read(address, 32, &ends[1], 8) != Status::kOk || ends[0] != ends[1]) {
      return false;
    }
    touch.version = ends[0];
    const uint64_t next = ends[0] + 1;
    if (touch.wrote && (activation.write(address, 0, &next, 8) != Status::kOk ||
                        activation.write(address, 32, &next, 8) != Status::kOk)) {
      return false;
    }
    ++noted->touches;
  }
  if (random() % 8 == 0) {
    noted->touches = 0;
    return activation.abort() == Status::kOk;
  }
  return activation.commit() == Status::kOk;
}

bool fill_journal(PhysicalMemory& memory, const uint64_t* objects, uint64_t seed,
                  Journal* journal) {
  std::mt19937_64 random(seed);
  std::unique_ptr<Activation> activation;
  if (Activation::make(memory, &activation) != Status::kOk) return false;
  uint64_t count = 0;
  while (count < kPerWorker) {
    Noted& noted = journal->transactions[count];
    if (!one_transaction(*activation, objects, random, &noted)) {
      fprintf(stderr, "%s\n", activation->message().c_str());
      return false;
    }
    count += noted.touches > 0;
    journal->count.store(count);
  }
  return true;
}

// Every transaction after those whose versions it saw, before those that replaced what it saw.
bool could_have_run_one_by_one(const std::vector<Noted>& all) {
  std::map<std::pair<uint32_t, uint64_t>, uint32_t> writer;  // of a version
  std::multimap<std::pair<uint32_t, uint64_t>, uint32_t> readers;
  for (uint32_t number = 0; number < all.size(); ++number) {
    for (uint32_t at = 0; at < all[number].touches; ++at) {
      const Touch& touch = all[number].touch[at];
      readers.emplace(std::pair{touch.object, touch.version}, number);
      const std::pair written = {touch.object, touch.version + 1};
      if (touch.wrote && !writer.emplace(written, number).second) {
        ADD_FAILURE() << "two transactions wrote version " << touch.version + 1 << " of object "
                      << touch.object;
      }
    }
  }
  std::vector<std::vector<uint32_t>> after(all.size());
  std::vector<uint32_t> before(all.size());
  const auto edge = [&](uint32_t from, uint32_t to) {
    if (from == to) return;
    after[from].push_back(to);
    ++before[to];
  };
  for (const auto& [version, reader] : readers) {
    const auto wrote = writer.find(version);
    if (wrote != writer.end()) {
      edge(wrote->second, reader);
    } else if (version.second != 0) {
      ADD_FAILURE() << "version " << version.second << " was read, and nobody wrote it";
    }
    const auto replaced = writer.find({version.first, version.second + 1});
    if (replaced != writer.end()) edge(reader, replaced->second);
  }
  std::vector<uint32_t> ready;
  for (uint32_t number = 0; number < all.size(); ++number) {
    if (before[number] == 0) ready.push_back(number);
  }
  size_t done = 0;
  while (!ready.empty()) {
    const uint32_t number = ready.back();
    ready.pop_back();
    ++done;
    for (const uint32_t next : after[number]) {
      if (--before[next] == 0) ready.push_back(next);
    }
  }
  return done == all.size();
}

TEST_F(ConcurrencyTest, HistoriesOfThreadsAndProcessesAreSerialisable) {
  std::mt19937_64 random(test_seed());
  constexpr int kWorkers = 4;  // two threads here and in a child
  auto* journals = static_cast<Journal*>(mmap(nullptr, sizeof(Journal) * kWorkers,
                                              PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                                              -1, 0));
  ASSERT_NE(journals, MAP_FAILED);
  const uint64_t seed = random();
  const pid_t child = in_child([&] {
    PhysicalMemory memory;
    if (!attach(memory, path_)) return 1;
    std::atomic<int> failed{0};
    {
      std::jthread other([&] { failed += !fill_journal(memory, objects_, seed, &journals[0]); });
      failed += !fill_journal(memory, objects_, seed + 1, &journals[1]);
    }
    return failed.load();
  });
  {
    std::jthread other(
        [&] { EXPECT_TRUE(fill_journal(memory_, objects_, seed + 2, &journals[2])); });
    EXPECT_TRUE(fill_journal(memory_, objects_, seed + 3, &journals[3]));
  }
  EXPECT_EQ(end_of(child), 0);
  std::vector<Noted> all;
  for (int worker = 0; worker < kWorkers; ++worker) {
    EXPECT_EQ(journals[worker].count.load(), kPerWorker);
    all.insert(all.end(), journals[worker].transactions,
               journals[worker].transactions + kPerWorker);
  }
  EXPECT_TRUE(could_have_run_one_by_one(all));
  EXPECT_EQ(memory_.board().statistics.repairs.load(), 0u);
  munmap(journals, sizeof(Journal) * kWorkers);
}

TEST(SerialisabilityTest, ALostUpdateAndASkewAreFound) {
  // Each read what the other replaced.
  std::vector<Noted> skew(2);
  skew[0] = {2, {{0, false, 0}, {1, true, 0}, {}, {}}};
  skew[1] = {2, {{1, false, 0}, {0, true, 0}, {}, {}}};
  EXPECT_FALSE(could_have_run_one_by_one(skew));
  skew[1] = {2, {{1, false, 1}, {0, true, 0}, {}, {}}};
  EXPECT_TRUE(could_have_run_one_by_one(skew));
}

}  // namespace
}  // namespace auxin::stm
