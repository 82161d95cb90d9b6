// SPDX-License-Identifier: Apache-2.0
//
// Goal: what a receiver has after each message is what the process had in the pause.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "checkpoint/state/tests/state_fixture.h"
#include "checkpoint/tests/pages.h"

namespace auxin::checkpoint {
namespace {

using test::Pages;

class NamedStateTest : public test::StateTest {};

TEST_F(NamedStateTest, RangesOfAnySizeAtAnyAddress) {
  Pages pages(4);
  char* const memory = pages.at(0);
  std::memset(memory, 'a', 4 * kPageBytes);
  // Three that share pages, one of them within a page.
  ASSERT_TRUE(state_->add_range(1, memory + 100, 5000));
  ASSERT_TRUE(state_->add_range(2, memory + 5100, 50));
  ASSERT_TRUE(state_->add_range(3, memory + 5150, 9000));
  EXPECT_EQ(state_->add_range(4, memory + 5149, 1).status, AUXIN_CHECKPOINT_OVERLAP);
  EXPECT_EQ(state_->add_range(2, memory, 1).status, AUXIN_CHECKPOINT_OVERLAP);
  capture(CaptureKind::kBase);
  for (int turn = 0; turn < 3; ++turn) {
    memory[5099 + turn] = static_cast<char>(turn);
    memory[5149] = static_cast<char>(turn);
    memory[14000 + turn] = 1;
    capture(CaptureKind::kIncrement);
    EXPECT_TRUE(received(1, memory + 100, 5000));
    EXPECT_TRUE(received(2, memory + 5100, 50));
    EXPECT_TRUE(received(3, memory + 5150, 9000));
  }
  ASSERT_TRUE(state_->remove(2));
  memory[5099] = 'z';
  memory[5150] = 'z';
  capture(CaptureKind::kIncrement);
  EXPECT_TRUE(received(1, memory + 100, 5000));
  EXPECT_TRUE(received(3, memory + 5150, 9000));
  EXPECT_EQ(image_.region(2), nullptr);
}

// Pages that this process has never touched are not zeros where a file is below.
TEST_F(NamedStateTest, MappingsOfFilesThatWereNeverTouched) {
  const std::string contents(5 * kPageBytes, 'f');
  const int fd = memfd_create("contents", MFD_CLOEXEC);
  ASSERT_EQ(write(fd, contents.data(), contents.size()), static_cast<ssize_t>(contents.size()));
  uint64_t id = 0;
  for (const int flags : {MAP_SHARED, MAP_PRIVATE}) {
    char* memory = static_cast<char*>(mmap(nullptr, contents.size(), PROT_READ | PROT_WRITE,
                                           flags, fd, 0));
    ASSERT_TRUE(state_->add_range(++id, memory, contents.size()));
    memory[2 * kPageBytes] = 'w';
    capture(CaptureKind::kIncrement);
    EXPECT_TRUE(received(id, memory, contents.size())) << flags;
    ASSERT_TRUE(state_->remove(id));
    munmap(memory, contents.size());
  }
  close(fd);
}

TEST_F(NamedStateTest, AnIncrementHoldsWhatChanged) {
  Pages pages(1000);
  for (uint64_t i = 0; i < pages.count(); ++i) pages.fill(i, 1 + static_cast<int>(i % 100));
  ASSERT_TRUE(state_->add_range(7, pages.at(0), 1000 * kPageBytes));
  capture(CaptureKind::kBase);
  EXPECT_TRUE(state_->statistics().last.base);
  pages.fill(10, 5);
  pages.fill(11, 6);
  pages.fill(999, 7);
  capture(CaptureKind::kIncrement);
  EXPECT_TRUE(received(7, pages.at(0), 1000 * kPageBytes));
  const CaptureReport& report = state_->statistics().last;
  EXPECT_EQ(report.changed_pages, 3u);
  EXPECT_LT(report.message_bytes, 4 * kPageBytes);
  EXPECT_EQ(report.method, state_->method());
  EXPECT_STRNE(report.reason, "");
  capture(CaptureKind::kIncrement);
  EXPECT_EQ(state_->statistics().last.changed_pages, 0u);
}

TEST_F(NamedStateTest, ObjectsAreSavedWhenTheyAreMarked) {
  struct Account {
    uint64_t balance;
    char owner[40];
  };
  std::vector<Account> accounts(10000, Account{0, "nobody"});
  std::vector<uint8_t*> marks(accounts.size());
  for (size_t i = 0; i < accounts.size(); ++i) {
    ASSERT_TRUE(state_->add_object(100 + i, &accounts[i], sizeof(Account), &marks[i]));
  }
  capture(CaptureKind::kBase);
  accounts[17].balance = 4;
  *marks[17] = 1;
  accounts[18].balance = 5;  // not marked: the receiver does not learn of it
  capture(CaptureKind::kIncrement);
  EXPECT_TRUE(received(117, &accounts[17], sizeof(Account)));
  EXPECT_FALSE(received(118, &accounts[18], sizeof(Account)));
  EXPECT_EQ(state_->statistics().last.object_bytes, sizeof(Account));
  ASSERT_TRUE(state_->remove(117));
  capture(CaptureKind::kIncrement);
  EXPECT_EQ(image_.region(117), nullptr);
  EXPECT_EQ(image_.regions().size(), accounts.size() - 1);
}

TEST_F(NamedStateTest, RangesGrowShrinkAndMove) {
  Pages pages(64);
  for (uint64_t i = 0; i < pages.count(); ++i) pages.fill(i, 1 + static_cast<int>(i));
  ASSERT_TRUE(state_->add_range(1, pages.at(0), 10 * kPageBytes + 10));
  capture(CaptureKind::kBase);
  for (const uint64_t bytes : {30 * kPageBytes + 1, 30 * kPageBytes + 9, 5 * kPageBytes + 7,
                               6 * kPageBytes, uint64_t{3}, 20 * kPageBytes}) {
    ASSERT_TRUE(state_->resize(1, pages.at(0), bytes));
    pages.at(0)[1] ^= 1;
    capture(CaptureKind::kIncrement);
    EXPECT_TRUE(received(1, pages.at(0), bytes)) << bytes;
  }
  // Shrunk and grown between two captures.
  ASSERT_TRUE(state_->resize(1, pages.at(0), 100));
  ASSERT_TRUE(state_->resize(1, pages.at(0), 20 * kPageBytes));
  capture(CaptureKind::kIncrement);
  EXPECT_TRUE(received(1, pages.at(0), 20 * kPageBytes));
  ASSERT_TRUE(state_->resize(1, pages.at(30) + 5, 2 * kPageBytes));
  capture(CaptureKind::kIncrement);
  EXPECT_TRUE(received(1, pages.at(30) + 5, 2 * kPageBytes));
  EXPECT_EQ(state_->resize(2, pages.at(0), 1).status, AUXIN_CHECKPOINT_UNKNOWN);
}

TEST_F(NamedStateTest, TheImageIsOfThePauseWhileTheProcessGoesOn) {
  Pages pages(2000);
  ASSERT_TRUE(state_->add_range(1, pages.at(0), 2000 * kPageBytes));
  std::vector<char> then(2000 * kPageBytes);
  for (int turn = 0; turn < 4; ++turn) {
    for (uint64_t i = 0; i < 2000; i += 3) pages.fill(i, turn * 2);
    std::memcpy(then.data(), pages.at(0), then.size());
    ASSERT_TRUE(state_->capture(turn == 0 ? CaptureKind::kBase : CaptureKind::kIncrement));
    for (uint64_t i = 0; i < 2000; i += 2) pages.fill(i, turn * 2 + 1);  // before the message
    receive();
    EXPECT_TRUE(received(1, then.data(), then.size())) << turn;
  }
}

TEST_F(NamedStateTest, ACaptureWithoutMessageLosesNothing) {
  Pages pages(100);
  ASSERT_TRUE(state_->add_range(1, pages.at(0), 100 * kPageBytes));
  capture(CaptureKind::kBase);
  pages.fill(5, 1);
  ASSERT_TRUE(state_->capture(CaptureKind::kIncrement));
  EXPECT_EQ(state_->capture(CaptureKind::kIncrement).status, AUXIN_CHECKPOINT_BUSY);
  EXPECT_EQ(state_->remove(1).status, AUXIN_CHECKPOINT_BUSY);
  state_->abandon();
  EXPECT_EQ(state_->message().status(), AUXIN_CHECKPOINT_WRONG_CALL);
  pages.fill(6, 1);
  capture(CaptureKind::kIncrement);
  EXPECT_TRUE(received(1, pages.at(0), 100 * kPageBytes));
}

TEST_F(NamedStateTest, AnImageIsRestoredAndIncrementsFollow) {
  Pages pages(50);
  for (uint64_t i = 0; i < pages.count(); ++i) pages.fill(i, 9);
  uint64_t object = 77;
  uint8_t* mark = nullptr;
  ASSERT_TRUE(state_->add_range(1, pages.at(0) + 8, 40 * kPageBytes));
  ASSERT_TRUE(state_->add_object(2, &object, sizeof(object), &mark));
  state_->set_user_word(4711);
  capture(CaptureKind::kBase);
  pages.fill(3, 1);
  object = 78;
  state_.reset();  // one tracker at a time: the other would be told everything, always
  Expected<std::unique_ptr<NamedState>> other = NamedState::create(options_);
  ASSERT_TRUE(other);
  EXPECT_EQ((*other)->restore(Image()).status, AUXIN_CHECKPOINT_EMPTY);
  ASSERT_TRUE((*other)->add_range(1, pages.at(0) + 8, 40 * kPageBytes));
  EXPECT_EQ((*other)->restore(image_).status, AUXIN_CHECKPOINT_UNKNOWN);
  ASSERT_TRUE((*other)->add_object(2, &object, 4, &mark));
  EXPECT_EQ((*other)->restore(image_).status, AUXIN_CHECKPOINT_SIZE);
  EXPECT_EQ(*pages.at(3), 1) << "nothing was written";
  ASSERT_TRUE((*other)->remove(2));
  ASSERT_TRUE((*other)->add_object(2, &object, sizeof(object), &mark));
  ASSERT_TRUE((*other)->restore(image_));
  EXPECT_EQ(*pages.at(3), 9);
  EXPECT_EQ(object, 77u);
  EXPECT_EQ((*other)->user_word(), 4711u);
  pages.fill(4, 2);
  state_ = std::move(*other);
  capture(CaptureKind::kIncrement);
  EXPECT_EQ(image_.position().sequence, 2u);
  EXPECT_LE(state_->statistics().last.changed_pages, 1u);
  EXPECT_TRUE(received(1, pages.at(0) + 8, 40 * kPageBytes));
}

// Writers that the pause stops where they stand: each adds one to its row of numbers, one after the
// other, so a row that is not all equal, but for one step, is torn.
TEST_F(NamedStateTest, UnderWritersThatNeverStopEachImageIsOfOneMoment) {
  static constexpr int kWriters = 2;
  static constexpr uint64_t kNumbers = 40 * kPageBytes / sizeof(uint64_t);
  struct Gate {
    std::atomic<bool> closed{false}, end{false};
    std::atomic<int> waiting{0};
  } gate;
  Pages pages(40 * kWriters);
  auto* numbers = reinterpret_cast<std::atomic<uint64_t>*>(pages.at(0));
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      for (uint64_t step = 0; !gate.end.load(); ++step) {
        if (gate.closed.load()) {
          gate.waiting.fetch_add(1);
          while (gate.closed.load()) std::this_thread::yield();
          gate.waiting.fetch_sub(1);
        }
        numbers[w * kNumbers + step % kNumbers].fetch_add(1);
      }
    });
  }
  options_.pause_context = &gate;
  options_.pause = [](void* context) {
    Gate& of = *static_cast<Gate*>(context);
    of.closed.store(true);
    while (of.waiting.load() != kWriters) std::this_thread::yield();
  };
  options_.resume = [](void* context) {
    Gate& of = *static_cast<Gate*>(context);
    of.closed.store(false);
    while (of.waiting.load() != 0) std::this_thread::yield();
  };
  state_.reset();
  state_ = std::move(*NamedState::create(options_));
  ASSERT_TRUE(state_->add_range(1, pages.at(0), 40 * kWriters * kPageBytes));
  for (int turn = 0; turn < 30; ++turn) {
    capture(turn % 10 == 0 ? CaptureKind::kBase : CaptureKind::kIncrement, turn % 3);
    const auto* seen = reinterpret_cast<const uint64_t*>(image_.region(1)->bytes.data());
    for (int w = 0; w < kWriters; ++w) {
      const uint64_t* row = seen + w * kNumbers;
      uint64_t steps = 0;
      for (uint64_t i = 1; i < kNumbers; ++i) {
        ASSERT_LE(row[i], row[i - 1]);
        steps += row[i] != row[i - 1];
      }
      ASSERT_LE(steps, 1u) << "turn " << turn;
      ASSERT_LE(row[0] - row[kNumbers - 1], 1u);
    }
  }
  gate.end.store(true);
  for (std::thread& writer : writers) writer.join();
}

TEST_F(NamedStateTest, AKilledChildCostsTheCaptureOnly) {
  if (state_->method() != TrackingMethod::kFork) GTEST_SKIP() << "method fork only";
  Pages pages(30000);
  for (uint64_t i = 0; i < pages.count(); ++i) pages.fill(i, static_cast<int>(i % 250));
  ASSERT_TRUE(state_->add_range(1, pages.at(0), pages.count() * kPageBytes));
  capture(CaptureKind::kBase);
  for (uint64_t i = 0; i < pages.count(); i += 2) pages.fill(i, 1);
  ASSERT_TRUE(state_->capture(CaptureKind::kIncrement));
  state_->abandon();  // kills it at its work
  capture(CaptureKind::kIncrement);
  EXPECT_TRUE(received(1, pages.at(0), pages.count() * kPageBytes));
}

TEST(NamedStateChoice, TheEnvironmentMustNameAMethod) {
  const char* const before = getenv("AUXIN_CHECKPOINT_METHOD");
  const std::string kept = before == nullptr ? "" : before;
  setenv("AUXIN_CHECKPOINT_METHOD", "guess", 1);
  EXPECT_EQ(NamedState::create({}).status(), AUXIN_CHECKPOINT_WRONG_CALL);
  setenv("AUXIN_CHECKPOINT_METHOD", "full", 1);
  Expected<std::unique_ptr<NamedState>> state = NamedState::create({});
  ASSERT_TRUE(state);
  EXPECT_EQ((*state)->method(), TrackingMethod::kFull);
  setenv("AUXIN_CHECKPOINT_METHOD", kept.empty() ? "automatic" : kept.c_str(), 1);
}

}  // namespace
}  // namespace auxin::checkpoint
