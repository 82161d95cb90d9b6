// SPDX-License-Identifier: Apache-2.0
//
// Goal: a process's log, kept by another process, has its messages, signals and interactions with
// the system in the order in which they happened, and nothing of the service's own.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "auxin/checkpoint.h"
#include "checkpoint/store/tests/store_test_directory.h"

namespace auxin::checkpoint {
namespace {

using Record = auxin_checkpoint_record;

// What `work` does in a process of its own that logs to a pipe; records until its end.
template <typename Work>
std::vector<Record> told_of(Work work) {
  int ends[2];
  if (pipe(ends) != 0) return {};
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    try {
      demand(auxin_checkpoint_log_to_descriptor(ends[1]));
      work();
    } catch (const Failure&) {
      _exit(1);
    }
    _exit(0);
  }
  close(ends[1]);
  std::vector<Record> records;
  Record record;
  while (read(ends[0], &record, sizeof record) == sizeof record) records.push_back(record);
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  return records;
}

TEST(LibcCalls, AreToldInOrderWithSignalsAndMessages) {
  const test::StoreDirectory directory;
  const std::string path = directory.path("file");
  int64_t told_seconds = 0;
  const std::vector<Record> records = told_of([&] {
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
    demand(auxin_checkpoint_log_signal(SIGUSR1));
    char table[5000] = {};
    State state;
    state.add_range(1, table, sizeof table);
    Store store(directory.path("store"));
    demand(auxin_checkpoint_log_system_calls(1));
    const int fd = open(path.c_str(), O_RDWR | O_CREAT, 0600);
    if (write(fd, "text", 4) != 4) _exit(2);
    state.save(store);  // opens, writes, renames: the service's
    raise(SIGUSR1);
    char text[10];
    if (pread(fd, text, sizeof text, 0) != 4 || time(nullptr) == 0) _exit(3);
    close(fd);
    if (open("/nowhere/at/all", O_RDONLY) >= 0) _exit(4);
    demand(auxin_checkpoint_log_system_calls(0));
    close(-1);  // not told
    auxin_checkpoint_log_note(1, static_cast<uint64_t>(time(nullptr)));
  });
  std::vector<std::pair<int, int>> what;
  for (const Record& record : records) what.emplace_back(record.event, record.code);
  const auto call = [](long number) {
    return std::pair<int, int>(AUXIN_CHECKPOINT_EVENT_SYSTEM_CALL, static_cast<int>(number));
  };
  const std::vector<std::pair<int, int>> expected = {
      call(SYS_openat), call(SYS_write), {AUXIN_CHECKPOINT_EVENT_CAPTURED, 0},
      {AUXIN_CHECKPOINT_EVENT_MADE, 0}, {AUXIN_CHECKPOINT_EVENT_KEPT, 0},
      {AUXIN_CHECKPOINT_EVENT_SIGNAL, SIGUSR1}, call(SYS_pread64), call(SYS_time),
      call(SYS_close), call(SYS_openat), {AUXIN_CHECKPOINT_EVENT_NOTE, 1}};
  ASSERT_EQ(what, expected);
  EXPECT_EQ(records[1].value, 4u);
  EXPECT_EQ(records[1].bytes, records[0].value) << "the descriptor that open gave";
  EXPECT_EQ(static_cast<int64_t>(records[9].value), -ENOENT);
  told_seconds = static_cast<int64_t>(records[7].value);
  EXPECT_NEAR(static_cast<double>(told_seconds), static_cast<double>(records[10].value), 2);
  for (size_t i = 0; i < records.size(); ++i) EXPECT_EQ(records[i].number, i + 1);
}

TEST(LibcCalls, OfALogThatMakesSomeItselfAreNotToldToIt) {
  static int told = 0;
  demand(auxin_checkpoint_log_to(
      [](void*, const Record*) {
        ++told;
        if (write(-1, "", 0) >= 0) abort();
      },
      nullptr));
  demand(auxin_checkpoint_log_system_calls(1));
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  demand(auxin_checkpoint_log_system_calls(0));
  auxin_checkpoint_log_stop();
  EXPECT_EQ(told, 1);
}

TEST(LibcCalls, DoWhatTheyDoAndKeepErrno) {
  demand(auxin_checkpoint_log_to([](void*, const Record*) { errno = 77; }, nullptr));
  demand(auxin_checkpoint_log_system_calls(1));
  errno = 0;
  EXPECT_EQ(read(-1, nullptr, 0), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(open("/nowhere/at/all", O_RDONLY), -1);
  EXPECT_EQ(errno, ENOENT);
  demand(auxin_checkpoint_log_system_calls(0));
  auxin_checkpoint_log_stop();
}

}  // namespace
}  // namespace auxin::checkpoint
