// SPDX-License-Identifier: Apache-2.0
//
// Goal: a process's log is told of its messages, signals and interactions, in order and completely,
// also when another process keeps the log and the first one is killed; without a log nothing is
// told; what a full pipe does not take is missed by its number.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "auxin/checkpoint.h"
#include "checkpoint/store/tests/store_test_directory.h"
#include "tests/harness/kill_one.h"

namespace auxin::checkpoint {
namespace {

using Record = auxin_checkpoint_record;

// A log in this process, which ends with the object.
class Log {
 public:
  Log() {
    records_.reserve(1000);  // a handler of signals allocates nothing
    demand(auxin_checkpoint_log_to(
        [](void* context, const Record* record) {
          Log* log = static_cast<Log*>(context);
          const std::lock_guard lock(log->mutex_);
          log->records_.push_back(*record);
        },
        this));
  }
  ~Log() { auxin_checkpoint_log_stop(); }
  std::vector<Record> records() {
    const std::lock_guard lock(mutex_);
    return records_;
  }
  std::vector<int> events() {
    std::vector<int> events;
    for (const Record& record : records()) events.push_back(record.event);
    return events;
  }

 private:
  std::mutex mutex_;
  std::vector<Record> records_;
};

TEST(EventLog, IsToldWhatBecomesOfEachMessage) {
  const test::StoreDirectory directory;
  char table[5000] = {};
  Receiver receiver("unix:" + directory.path("in"));
  Log log;
  State state;
  state.add_range(1, table, sizeof(table));
  {
    Store store = Store::at_server(receiver.address(), "table");
    state.save(store);
    table[0] = 1;
    state.save(store);
    state.restore(store);
  }
  const std::vector<int> expected = {
      AUXIN_CHECKPOINT_EVENT_CAPTURED, AUXIN_CHECKPOINT_EVENT_MADE,
      AUXIN_CHECKPOINT_EVENT_RECEIVED, AUXIN_CHECKPOINT_EVENT_APPLIED,
      AUXIN_CHECKPOINT_EVENT_KEPT,     AUXIN_CHECKPOINT_EVENT_CAPTURED,
      AUXIN_CHECKPOINT_EVENT_MADE,     AUXIN_CHECKPOINT_EVENT_RECEIVED,
      AUXIN_CHECKPOINT_EVENT_APPLIED,  AUXIN_CHECKPOINT_EVENT_KEPT,
      AUXIN_CHECKPOINT_EVENT_RESTORED};
  EXPECT_EQ(log.events(), expected);
  const std::vector<Record> records = log.records();
  for (size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(records[i].number, i + 1);
    EXPECT_EQ(records[i].size_bytes, sizeof(Record));
    EXPECT_EQ(records[i].status, AUXIN_CHECKPOINT_OK);
    EXPECT_GT(records[i].time_ns, 0u);
  }
  EXPECT_EQ(records[4].value, records[1].value) << "one message, one digest";
  EXPECT_NE(records[9].value, records[1].value);
  EXPECT_EQ(records[4].thread, static_cast<uint32_t>(gettid()));
  EXPECT_NE(records[2].thread, records[1].thread) << "the receiver's own";
}

TEST(EventLog, IsToldOfRefusals) {
  const test::StoreDirectory directory;
  char table[5000] = {};
  State first, second;
  first.add_range(1, table, sizeof(table));
  second.add_range(1, table, sizeof(table));
  Store store(directory.path("store"));
  first.save(store);
  Log log;
  EXPECT_THROW(second.save(store), Failure);
  const std::vector<Record> records = log.records();
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[2].event, AUXIN_CHECKPOINT_EVENT_KEPT);
  EXPECT_EQ(records[2].status, AUXIN_CHECKPOINT_FOREIGN);
}

std::atomic<int> handled{0};

TEST(EventLog, IsToldOfSignalsAndTheirOwnHandlersRun) {
  struct sigaction action = {};
  action.sa_handler = [](int) { ++handled; };
  sigaction(SIGUSR1, &action, nullptr);
  signal(SIGUSR2, SIG_IGN);
  demand(auxin_checkpoint_log_signal(SIGUSR1));
  demand(auxin_checkpoint_log_signal(SIGUSR2));
  handled = 0;
  raise(SIGUSR1);  // nobody is told
  Log log;
  raise(SIGUSR1);
  raise(SIGUSR2);
  EXPECT_EQ(handled, 2);
  const std::vector<Record> records = log.records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].event, AUXIN_CHECKPOINT_EVENT_SIGNAL);
  EXPECT_EQ(records[0].code, SIGUSR1);
  EXPECT_EQ(records[0].value, static_cast<uint64_t>(getpid()));
  EXPECT_EQ(records[1].code, SIGUSR2);
  EXPECT_EQ(auxin_checkpoint_log_signal(SIGKILL), AUXIN_CHECKPOINT_WRONG_CALL);
  EXPECT_EQ(auxin_checkpoint_log_signal(0), AUXIN_CHECKPOINT_WRONG_CALL);
}

TEST(EventLog, IsToldOfInteractionsWithTheSystem) {
  Log log;
  const long opened = auxin_checkpoint_system_call(
      SYS_openat, AT_FDCWD, reinterpret_cast<long>("/nowhere/at/all"), O_RDONLY, 0, 0, 0);
  EXPECT_EQ(opened, -1);
  EXPECT_EQ(errno, ENOENT);
  EXPECT_EQ(auxin_checkpoint_system_call(SYS_getpid, 0, 0, 0, 0, 0, 0), getpid());
  auxin_checkpoint_log_note(42, 43);
  const std::vector<Record> records = log.records();
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].code, SYS_openat);
  EXPECT_EQ(static_cast<int64_t>(records[0].value), -ENOENT);
  EXPECT_EQ(records[1].value, static_cast<uint64_t>(getpid()));
  EXPECT_EQ(records[2].event, AUXIN_CHECKPOINT_EVENT_NOTE);
  EXPECT_EQ(records[2].code, 42);
}

TEST(EventLog, ThereIsOneAndItEnds) {
  EXPECT_EQ(auxin_checkpoint_log_to(nullptr, nullptr), AUXIN_CHECKPOINT_WRONG_CALL);
  EXPECT_EQ(auxin_checkpoint_log_to_descriptor(-1), AUXIN_CHECKPOINT_WRONG_CALL);
  std::atomic<bool> ends{false};
  std::thread noise([&] {
    while (!ends) auxin_checkpoint_log_note(1, 1);
  });
  for (int i = 0; i < 50; ++i) {
    Log log;  // its memory is gone when it has ended
    EXPECT_EQ(auxin_checkpoint_log_to_descriptor(1), AUXIN_CHECKPOINT_WRONG_CALL);
  }
  ends = true;
  noise.join();
}

TEST(EventLog, WhatAFullPipeDoesNotTakeIsMissedByItsNumber) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_NONBLOCK), 0);
  demand(auxin_checkpoint_log_to_descriptor(ends[1]));
  constexpr uint64_t kTold = 10'000;
  for (uint64_t i = 1; i <= kTold; ++i) auxin_checkpoint_log_note(0, i);
  Record record;
  uint64_t came = 0;
  while (read(ends[0], &record, sizeof(record)) == sizeof(record)) {
    ++came;
    ASSERT_EQ(record.number, came);
  }
  EXPECT_GT(came, 100u);
  EXPECT_LT(came, kTold);
  auxin_checkpoint_log_note(0, 0);
  ASSERT_EQ(read(ends[0], &record, sizeof(record)), static_cast<ssize_t>(sizeof(record)));
  EXPECT_EQ(record.number, kTold + 1) << "those in between were lost";
  auxin_checkpoint_log_stop();
  close(ends[0]);
  close(ends[1]);
}

// The process is killed at a moment of its own; its log, kept by this one, says how far it came.
TEST(EventLog, KeptByAnotherProcessItOutlivesTheOneThatIsKilled) {
  const test::StoreDirectory directory;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    try {
      char table[5000] = {};
      demand(auxin_checkpoint_log_to_descriptor(ends[1]));
      State state;
      state.add_range(1, table, sizeof(table));
      Store store(directory.path("store"));
      for (int i = 0;; ++i) {
        table[i % 5000] = static_cast<char>(i);
        state.save(store);
      }
    } catch (const Failure&) {
      _exit(1);
    }
  }
  close(ends[1]);
  std::vector<Record> records;
  Record record;
  while (read(ends[0], &record, sizeof(record)) == sizeof(record)) {
    records.push_back(record);
    if (records.size() == 40) kill_one(child, SIGKILL);
  }
  close(ends[0]);
  waitpid(child, nullptr, 0);
  ASSERT_GE(records.size(), 40u);
  uint64_t kept = 0;
  for (size_t i = 0; i < records.size(); ++i) {
    ASSERT_EQ(records[i].number, i + 1);
    if (records[i].event == AUXIN_CHECKPOINT_EVENT_KEPT) kept = records[i].sequence;
  }
  auxin_checkpoint_store_options options = AUXIN_CHECKPOINT_STORE_OPTIONS;
  options.read_only = 1;
  const uint64_t there = Store(directory.path("store"), options).report().sequence;
  EXPECT_TRUE(there == kept || there == kept + 1) << there << " is there, the log says " << kept;
}

}  // namespace
}  // namespace auxin::checkpoint
