// SPDX-License-Identifier: Apache-2.0
#include "libmeta_os/unsupported_use.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "libmeta_os/signal_names.h"

namespace auxin::os {
namespace {

class UnsupportedUses : public ::testing::Test {
 protected:
  UseTable& table() { return *table_; }
  std::vector<std::string> rows() const {
    std::vector<std::string> texts;
    for (const UseRow& row : table_->rows) {
      if (row.state.load() == 2) {
        texts.push_back(std::string(unsupported_name(row.use)) + " " + row.module + " " +
                        row.symbol);
      }
    }
    return texts;
  }

 private:
  std::unique_ptr<UseTable> table_ = std::make_unique<UseTable>();
};

TEST_F(UnsupportedUses, EachIsNotedOnceAndEveryReplicaIsKnown) {
  EXPECT_TRUE(table().add(Unsupported::kFutex, "server", "syscall(SYS_futex)", 0));
  EXPECT_FALSE(table().add(Unsupported::kFutex, "server", "syscall(SYS_futex)", 0));
  EXPECT_TRUE(table().add(Unsupported::kFutex, "server", "syscall(SYS_futex)", 2));
  EXPECT_TRUE(table().add(Unsupported::kFutex, "library", "syscall(SYS_futex)", 0));
  EXPECT_EQ(rows(), (std::vector<std::string>{"futex server syscall(SYS_futex)",
                                              "futex library syscall(SYS_futex)"}));
  EXPECT_EQ(table().rows[0].replicas.load(), 0b101u);
}

TEST_F(UnsupportedUses, LongNamesAreCutAndOfPathsTheEndIsKept) {
  const std::string module(100, 'm');
  const std::string path = "/" + std::string(300, 'p') + "/end";
  EXPECT_TRUE(table().add(Unsupported::kFile, module.c_str(), path.c_str()));
  EXPECT_FALSE(table().add(Unsupported::kFile, module.c_str(), path.c_str()));
  EXPECT_EQ(std::string(table().rows[0].module), module.substr(0, 63));
  EXPECT_EQ(std::string(table().rows[0].symbol), path.substr(path.size() - 175));
}

TEST_F(UnsupportedUses, PathsLeaveRoomForTheRestAndWhatFindsNoneIsCounted) {
  for (int i = 0; i < 100; ++i) {
    table().add(Unsupported::kFile, "server", ("/file/" + std::to_string(i)).c_str());
  }
  EXPECT_EQ(rows().size(), kMaxFileUses);
  EXPECT_EQ(table().lost.load(), 100 - kMaxFileUses);
  for (uint32_t i = 0; i < kMaxUses - kMaxFileUses; ++i) {
    EXPECT_TRUE(table().add(Unsupported::kSignalHandler, "server", std::to_string(i).c_str()));
  }
  EXPECT_FALSE(table().add(Unsupported::kFutex, "server", "one too many"));
  EXPECT_EQ(table().lost.load(), 100 - kMaxFileUses + 1);
}

TEST_F(UnsupportedUses, ARowWhoseWriterWasKilledIsPassed) {
  table().rows[0].state.store(1);
  EXPECT_TRUE(table().add(Unsupported::kTimer, "server", "setitimer"));
  EXPECT_FALSE(table().add(Unsupported::kTimer, "server", "setitimer"));
  EXPECT_EQ(rows().size(), 1u);
}

TEST_F(UnsupportedUses, ThreadsThatNoteAtOnceLoseNothing) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 15; ++i) {
        const std::string symbol = std::to_string(thread * 15 + i);
        EXPECT_TRUE(table().add(Unsupported::kSharedMemory, "server", symbol.c_str()));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(rows().size(), 60u);
  auto copy = std::make_unique<UseTable>();
  copy->add_all(table(), 3);
  EXPECT_EQ(copy->rows[59].replicas.load(), 8u);
}

TEST(UnsupportedNames, AreThereForEachKindAndDiffer) {
  std::set<std::string> names;
  for (uint16_t use = 1; use < kUnsupportedKinds; ++use) {
    names.insert(unsupported_name(static_cast<Unsupported>(use)));
  }
  EXPECT_EQ(names.size(), kUnsupportedKinds - 1u);
  EXPECT_EQ(names.count(""), 0u);
  EXPECT_STREQ(unsupported_name(static_cast<Unsupported>(999)), "");
}

TEST(SignalHandlers, MatterWhereTheyRunWhileTheServerServes) {
  const auto* handler = reinterpret_cast<const void*>(&signal_name);
  for (const int number : {SIGHUP, SIGUSR1, SIGALRM, SIGCHLD, 34, 64}) {
    EXPECT_TRUE(handler_matters(number, handler)) << number;
    EXPECT_FALSE(handler_matters(number, reinterpret_cast<const void*>(SIG_IGN))) << number;
    EXPECT_FALSE(handler_matters(number, reinterpret_cast<const void*>(SIG_DFL))) << number;
  }
  for (const int number : {SIGTERM, SIGINT, SIGPIPE, SIGSEGV, SIGABRT, 32, 33, 0, 65}) {
    EXPECT_FALSE(handler_matters(number, handler)) << number;
  }
  EXPECT_STREQ(signal_name(SIGUSR2), "SIGUSR2");
  EXPECT_STREQ(signal_name(SIGRTMIN), "SIGRTMIN");
  EXPECT_STREQ(signal_name(SIGRTMAX), "SIGRTMIN+30");
}

}  // namespace
}  // namespace auxin::os
