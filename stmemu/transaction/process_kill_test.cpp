// SPDX-License-Identifier: Apache-2.0
//
// Goal: a process killed at any store leaves its transaction whole or undone for those who go on,
// who find out by themselves and at once; and who is killed while recovering it leaves no less.
// Method 1: a child attaches the memory that this process has attached, and kills itself just
// before its N-th step (a store to a bank, or a fence), for many an N of each sort of transaction
// (AUXIN_LONG=1: for every N); then this process opens the same objects. Method 2: the same, but
// two more children are killed at their N-th step while they recover. Method 3: writers in two
// processes with two threads each move amounts between accounts, and one process after another is
// killed at a random moment (AUXIN_ROUNDS; the suite does fewer).
#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <numeric>
#include <thread>

#include "stmemu/memory/page_table.h"
#include "stmemu/test_memory.h"
#include "stmemu/transaction/activation.h"
#include "stmemu/transaction/contexts.h"
#include "stmemu/transaction/recovery.h"
#include "tests/harness/kill_one.h"

namespace auxin::stm {
namespace {
std::atomic<int64_t> steps_left{-1};  // negative: never killed
}  // namespace

void bank_step(int, uint64_t, uint64_t) {
  if (steps_left.load(std::memory_order_relaxed) < 0) return;
  if (steps_left.fetch_sub(1, std::memory_order_relaxed) == 0) kill(getpid(), SIGKILL);
}

namespace {

constexpr uint64_t kBankBytes = 256 * kPageBytes;
constexpr uint64_t kSizes[] = {8, 24, 100, 1000, 9000};
constexpr int kFailed = 7;

// What a child of a scenario works with: its own attachment.
struct Child {
  PhysicalMemory memory;
  std::unique_ptr<Activation> activation;
};

class ProcessKillTest : public testing::Test {
 protected:
  ProcessKillTest() {
    CreateOptions options;
    options.bank_size_bytes = kBankBytes;
    const Result<bool> created = create_memory(path_, options);
    EXPECT_TRUE(created) << created.error();
    const Result<Findings> attached = attach(memory_, path_);
    EXPECT_TRUE(attached) << attached.error();
    EXPECT_EQ(Activation::make(memory_, &activation_), Status::kOk);
    EXPECT_EQ(activation_->begin(), Status::kOk);
    for (const uint64_t size_bytes : kSizes) {
      uint64_t address = 0;
      EXPECT_EQ(activation_->allocate(size_bytes, ObjectKind::kUser, 0, &address), Status::kOk);
      objects_.push_back(address);
    }
    EXPECT_EQ(activation_->allocate(kListBytes, ObjectKind::kUser, 0, &list_), Status::kOk);
    EXPECT_EQ(activation_->commit(), Status::kOk);
  }

  // --- in a child: all return whether the operation did what it should ---

  static bool done(Status status) { return status == Status::kOk; }
  static bool fill(Activation& activation, uint64_t address, char value) {
    uint64_t size_bytes = 0;
    uint16_t life = 0;
    if (!done(activation.describe(address, &size_bytes, &life))) return false;
    const std::string bytes(size_bytes, value);
    return done(activation.write(address, 0, bytes.data(), size_bytes));
  }
  // All objects hold `value` afterwards.
  bool change_all(Activation& activation, char value) const {
    for (const uint64_t address : objects_) {
      if (!done(activation.open(address, OpenFor::kChanging, Wait::none())) ||
          !fill(activation, address, value)) {
        return false;
      }
    }
    return true;
  }
  // Objects that the list names; they come and go with it.
  bool list(Activation& activation, std::vector<uint64_t>* named) const {
    if (!done(activation.open(list_, OpenFor::kChanging, Wait::none()))) return false;
    std::vector<uint64_t> words(kListBytes / 8);
    if (!done(activation.read(list_, 0, words.data(), kListBytes))) return false;
    named->clear();
    for (const uint64_t word : words) {
      if (word != 0) named->push_back(word);
    }
    return true;
  }
  bool make_some(Activation& activation, const std::vector<uint64_t>& sizes, char value) const {
    std::vector<uint64_t> named;
    if (!list(activation, &named)) return false;
    for (const uint64_t size_bytes : sizes) {
      uint64_t address = 0;
      if (!done(activation.allocate(size_bytes, ObjectKind::kUser, 0, &address)) ||
          !fill(activation, address, value) ||
          !done(activation.write(list_, named.size() * 8, &address, 8))) {
        return false;
      }
      named.push_back(address);
    }
    return true;
  }
  bool free_all(Activation& activation) const {
    std::vector<uint64_t> named;
    if (!list(activation, &named)) return false;
    for (const uint64_t address : named) {
      if (!done(activation.open(address, OpenFor::kChanging, Wait::none())) ||
          !done(activation.free(address))) {
        return false;
      }
    }
    const std::string zeros(kListBytes, '\0');
    return done(activation.write(list_, 0, zeros.data(), kListBytes));
  }

  // Runs `scenario` in a child that is killed before its `steps`-th step. True: it was not.
  using Scenario = std::function<bool(Child&)>;
  bool run(int64_t steps, const Scenario& scenario, bool armed_at_once = false) {
    const int end = end_of(in_child([&] {
      Child child;
      if (armed_at_once) steps_left = steps;
      if (!attach(child.memory, path_)) return kFailed;
      if (!armed_at_once) steps_left = steps;
      const bool well = scenario(child);
      steps_left = -1;
      child.activation.reset();
      return well ? 0 : kFailed;
    }));
    EXPECT_TRUE(end == 0 || end == -SIGKILL) << end;
    return end == 0;
  }
  static Scenario in_transaction(const std::function<bool(Activation&)>& body) {
    return [body](Child& child) {
      // Only the transaction itself is cut off, not what comes before it.
      const int64_t steps = steps_left.exchange(-1);
      if (!done(Activation::make(child.memory, &child.activation))) return false;
      steps_left = steps;
      return done(child.activation->begin()) && body(*child.activation);
    };
  }

  // --- in this process: what a dead child left ---

  void check(const std::string& what) {
    SCOPED_TRACE(what);
    ASSERT_EQ(activation_->begin(), Status::kOk);
    char value = 0;
    for (size_t at = 0; at < objects_.size(); ++at) {
      const uint64_t address = objects_[at];
      ASSERT_EQ(activation_->open(address, OpenFor::kChanging, Wait::none()), Status::kOk)
          << activation_->message();
      std::string bytes(kSizes[at], '\0');
      ASSERT_EQ(activation_->read(address, 0, bytes.data(), bytes.size()), Status::kOk);
      if (at == 0) value = bytes[0];
      ASSERT_EQ(bytes, std::string(bytes.size(), value)) << "object " << at;
    }
    std::vector<uint64_t> named;
    ASSERT_TRUE(list(*activation_, &named)) << activation_->message();
    for (const uint64_t address : named) {
      uint64_t size_bytes = 0;
      uint16_t life = 0;
      ASSERT_EQ(activation_->open(address, OpenFor::kReading, Wait::none()), Status::kOk)
          << activation_->message();
      ASSERT_EQ(activation_->describe(address, &size_bytes, &life), Status::kOk);
      std::string bytes(size_bytes, '\0');
      ASSERT_EQ(activation_->read(address, 0, bytes.data(), size_bytes), Status::kOk);
      ASSERT_EQ(bytes, std::string(size_bytes, bytes[0])) << address;
    }
    uint64_t large = 0;  // takes the page lock, whoever died with it
    ASSERT_EQ(activation_->allocate(30000, ObjectKind::kUser, 0, &large), Status::kOk);
    ASSERT_EQ(activation_->abort(), Status::kOk);
    recover_dead_contexts(memory_);
    check_pages(objects_.size() + 1 + named.size() + others_);
    ASSERT_EQ(memory_.board().statistics.losses.load(), 0u);
    ASSERT_EQ(memory_.board().statistics.repairs.load(), 0u) << "a death is not damage";
    value_ = value;
    named_ = named.size();
  }

  // Nobody is at work: every object's copies are good and equal, and so are the heads.
  void check_pages(uint64_t expected_live) {
    const Banks& banks = memory_.banks();
    uint64_t pages = 0, live = 0;
    PageTable(memory_).walk([&](uint64_t page, const PageHead& head) {
      pages += head.pages;
      EXPECT_EQ(memcmp(banks.a.at(head_offset(page)), banks.b.at(head_offset(page)),
                       sizeof(PageHead)), 0) << "page " << page;
      const PageUse use = static_cast<PageUse>(head.use);
      if (use != PageUse::kObjects && use != PageUse::kDescriptors) return true;
      for (uint32_t slot = 0; slot < memory_.classes().slots(head.size_class); ++slot) {
        const Place place = place_in_run(memory_, page, head, slot);
        ObjectHeader a, b;
        const bool good = good_copy(memory_, banks.a, place, &a) &&
                          good_copy(memory_, banks.b, place, &b) &&
                          memcmp(&a, &b, sizeof(a)) == 0;
        EXPECT_TRUE(good) << "slot " << slot << " of page " << page;
        live += a.live() && use == PageUse::kObjects && a.kind() == ObjectKind::kUser;
      }
      return true;
    });
    EXPECT_EQ(pages, memory_.pages());
    EXPECT_EQ(live, expected_live);
  }

  // Kills `scenario` before every `stride`-th step (at random around it), and checks after each.
  void kill_everywhere(const std::string& what, const Scenario& scenario, uint64_t stride = 1,
                       bool armed_at_once = false) {
    std::mt19937_64 random(test_seed());
    if (environment_number("AUXIN_LONG", 0) != 0) stride = 1;
    int kills = 0;
    for (int64_t steps = 0;; steps += static_cast<int64_t>(1 + random() % (2 * stride - 1))) {
      const bool finished = run(steps, scenario, armed_at_once);
      check(what + ", step " + std::to_string(steps));
      if (HasFailure() || finished) break;
      ++kills;
    }
    printf("%s: %d kills\n", what.c_str(), kills);
    EXPECT_GT(kills, 10);
  }

  static constexpr uint64_t kListBytes = 8 * 200;
  TestDirectory directory_;
  const std::string path_ = directory_.file("memory");
  PhysicalMemory memory_;
  std::unique_ptr<Activation> activation_;
  std::vector<uint64_t> objects_;
  uint64_t list_ = 0;
  char value_ = 0;
  size_t named_ = 0, others_ = 0;
};

TEST_F(ProcessKillTest, ATransactionIsWholeOrUndone) {
  kill_everywhere("a change of five objects", in_transaction([this](Activation& activation) {
                    return change_all(activation, value_ == 1 ? 2 : 1) &&
                           done(activation.commit());
                  }), 2);
  EXPECT_NE(value_, 0) << "the last one was not killed";
}

TEST_F(ProcessKillTest, AnAbortIsWhole) {
  kill_everywhere("an abort", in_transaction([this](Activation& activation) {
                    return change_all(activation, 55) && done(activation.abort());
                  }), 3);
  EXPECT_EQ(value_, 0);
}

TEST_F(ProcessKillTest, ObjectsAndTheirRunsComeAndGoWithTheirTransaction) {
  kill_everywhere("objects and runs that come and go",
                  in_transaction([this](Activation& activation) {
                    std::vector<uint64_t> named;
                    return free_all(activation) &&
                           make_some(activation, {10, 300, 12000, 10}, 33) &&
                           done(activation.commit());
                  }), 3);
  EXPECT_EQ(named_, 4u);
}

TEST_F(ProcessKillTest, ALongListOfIntentsIsFollowed) {
  std::vector<uint64_t> sizes(kDescriptorIntents + 6, 8);
  kill_everywhere("a list of intents in blocks", in_transaction([&](Activation& activation) {
                    // On a descriptor that has no block yet.
                    return free_all(activation) && make_some(activation, sizes, 44) &&
                           change_all(activation, value_ == 1 ? 2 : 1) &&
                           done(activation.commit());
                  }), 8);
  EXPECT_EQ(named_, sizes.size());
}

TEST_F(ProcessKillTest, TheMakingOfADescriptorIsWholeOrUndone) {
  // As many contexts at once as never before have none yet.
  kill_everywhere("a context's descriptor", [&](Child& child) {
    std::vector<std::unique_ptr<Activation>> all;
    for (int count = 0; count < 3; ++count) {
      std::unique_ptr<Activation> made;
      if (!done(Activation::make(child.memory, &made))) return false;
      all.push_back(std::move(made));
    }
    return true;
  });
}

TEST_F(ProcessKillTest, RecoveryCanBeKilledTwiceMore) {
  std::mt19937_64 random(test_seed());
  const uint64_t rounds = environment_number("AUXIN_ROUNDS", 250);
  uint64_t kills = 0, in_recovery = 0;
  for (uint64_t round = 0; round < rounds && !HasFailure(); ++round) {
    const Scenario first = in_transaction([this](Activation& activation) {
      return free_all(activation) && make_some(activation, {10, 300, 12000}, 33) &&
             change_all(activation, value_ == 1 ? 2 : 1) && done(activation.commit());
    });
    kills += !run(static_cast<int64_t>(random() % 11000), first);
    // Attaching recovers it; the next ones are killed in that, mostly early.
    for (int deeper = 0; deeper < 2; ++deeper) {
      const int64_t steps = static_cast<int64_t>(random() % (uint64_t{2} << random() % 13));
      in_recovery += !run(steps, [](Child&) { return true; }, true);
    }
    check("round " + std::to_string(round));
  }
  printf("%llu kills, %llu more in recovery\n", static_cast<unsigned long long>(kills),
         static_cast<unsigned long long>(in_recovery));
}

// --- writers that are killed at random ---

constexpr int kAccounts = 12;
constexpr int64_t kEach = 1000;

bool transfer(Activation& activation, const std::vector<uint64_t>& accounts,
              std::mt19937_64& random) {
  const uint64_t from = accounts[random() % accounts.size()];
  const uint64_t to = accounts[random() % accounts.size()];
  const int64_t amount = static_cast<int64_t>(random() % 50);
  if (from == to || activation.begin() != Status::kOk) return from == to;
  int64_t balances[2];
  const uint64_t both[2] = {from, to};
  for (int side = 0; side < 2; ++side) {
    const Status status = activation.open(both[side], OpenFor::kChanging, Wait::up_to_us(2000));
    if (is_retryable(status)) return activation.abort() == Status::kOk;
    if (status != Status::kOk) return false;
    if (activation.read(both[side], 0, &balances[side], 8) != Status::kOk) return false;
  }
  balances[0] -= amount;
  balances[1] += amount;
  for (int side = 0; side < 2; ++side) {
    if (activation.write(both[side], 0, &balances[side], 8) != Status::kOk) return false;
  }
  // Now and then an object comes and goes; large ones have runs of their own.
  if (amount % 10 == 0) {
    uint64_t made = 0;
    const Status status =
        activation.allocate(amount % 20 == 0 ? 20000 : 200, ObjectKind::kUser, 0, &made);
    if (status == Status::kOk && activation.free(made) != Status::kOk) return false;
    if (status != Status::kOk && status != Status::kFull) return false;
  }
  const Status ended = amount % 7 == 0 ? activation.abort() : activation.commit();
  return ended == Status::kOk;
}

int write_until_killed(const std::string& path, const std::vector<uint64_t>& accounts,
                       uint64_t seed) {
  PhysicalMemory memory;
  if (!attach(memory, path)) return 2;
  const auto work = [&](uint64_t thread_seed) {
    std::mt19937_64 random(thread_seed);
    std::unique_ptr<Activation> activation;
    if (Activation::make(memory, &activation) != Status::kOk) _exit(3);
    for (;;) {
      if (transfer(*activation, accounts, random)) continue;
      fprintf(stderr, "%s\n", activation->message().c_str());
      _exit(4);
    }
  };
  std::jthread other(work, seed + 1);
  work(seed);
  return 5;
}

TEST_F(ProcessKillTest, TheSumOfAccountsOutlivesTheirWriters) {
  std::mt19937_64 random(test_seed());
  std::vector<uint64_t> accounts;
  ASSERT_EQ(activation_->begin(), Status::kOk);
  for (int count = 0; count < kAccounts; ++count) {
    uint64_t address = 0;
    ASSERT_EQ(activation_->allocate(8, ObjectKind::kUser, 0, &address), Status::kOk);
    ASSERT_EQ(activation_->write(address, 0, &kEach, 8), Status::kOk);
    accounts.push_back(address);
  }
  others_ = accounts.size();
  ASSERT_EQ(activation_->commit(), Status::kOk);
  const auto start = [&] {
    const uint64_t seed = random();
    return in_child([&] { return write_until_killed(path_, accounts, seed); });
  };
  pid_t writers[2] = {start(), start()};
  const uint64_t rounds = environment_number("AUXIN_ROUNDS", 300);
  for (uint64_t round = 0; round < rounds && !HasFailure(); ++round) {
    std::this_thread::sleep_for(std::chrono::microseconds(500 + random() % 6000));
    pid_t& victim = writers[round % 2];
    kill_one(victim, SIGKILL);
    EXPECT_EQ(end_of(victim), -SIGKILL);
    // All accounts in one transaction, against the writers that go on.
    int64_t sum = 0;
    bool read = false;
    for (int attempt = 0; attempt < 10'000 && !read; ++attempt) {
      sum = 0;
      ASSERT_EQ(activation_->begin(), Status::kOk);
      Status status = Status::kOk;
      for (size_t at = 0; at < accounts.size() && status == Status::kOk; ++at) {
        int64_t balance = 0;
        status = activation_->open(accounts[at], OpenFor::kReading, Wait::up_to_us(100'000));
        if (status == Status::kOk) status = activation_->read(accounts[at], 0, &balance, 8);
        sum += balance;
      }
      read = status == Status::kOk;
      ASSERT_TRUE(read || is_retryable(status)) << activation_->message();
      ASSERT_EQ(read ? activation_->commit() : activation_->abort(), Status::kOk);
      // They wait for what was held here: of a circle, this one gives way each time.
      if (!read) std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    }
    ASSERT_TRUE(read);
    EXPECT_EQ(sum, kEach * kAccounts) << "after round " << round;
    victim = start();
  }
  for (const pid_t writer : writers) {
    kill_one(writer, SIGKILL);
    EXPECT_EQ(end_of(writer), -SIGKILL);
  }
  EXPECT_EQ(memory_.board().statistics.losses.load(), 0u);
  EXPECT_EQ(memory_.board().statistics.repairs.load(), 0u) << "a death is not damage";
  printf("%llu kills, %llu transactions recovered\n", static_cast<unsigned long long>(rounds),
         static_cast<unsigned long long>(memory_.board().statistics.recovered.load()));
  check("at the end");
}

}  // namespace
}  // namespace auxin::stm
