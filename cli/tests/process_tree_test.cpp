// SPDX-License-Identifier: Apache-2.0
//
// Goal: it is told of a process whether it has something to do. Method: children that run, that
// sleep, and of which one thread of two runs.
#include "cli/runs/process_tree.h"
#include "tests/harness/kill_one.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

namespace auxin::cli {
namespace {

[[noreturn]] void run_for_ever() {
  for (volatile unsigned turn = 0;;) turn = turn + 1;
}

// A child that does what it is told until it is killed.
class Child {
 public:
  explicit Child(void (*work)()) : pid_(fork()) {
    if (pid_ != 0) return;
    work();
    _exit(0);
  }
  ~Child() {
    kill_one(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  // Asks until the answer is the expected one: a child is not at once where it will be.
  void await(bool wants_processor) const {
    while (any_wants_processor({pid_}) != wants_processor) usleep(1000);
  }

 private:
  const pid_t pid_;
};

TEST(ProcessTree, AProcessThatRunsWantsTheProcessor) {
  const Child child(run_for_ever);
  child.await(true);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(any_wants_processor({child.pid()}));
}

TEST(ProcessTree, OneThatSleepsDoesNot) {
  const Child child([] { pause(); });
  child.await(false);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(any_wants_processor({child.pid()}));
}

TEST(ProcessTree, OneWithAThreadThatRunsDoes) {
  const Child child([] {
    std::thread(run_for_ever).detach();
    pause();
  });
  child.await(true);
  const Child sleeps([] { pause(); });
  EXPECT_TRUE(any_wants_processor({sleeps.pid(), child.pid()}));
}

TEST(ProcessTree, HasTheProcessAndItsChildren) {
  const Child child([] { pause(); });
  const std::vector<pid_t> tree = process_tree(getpid());
  EXPECT_EQ(tree.front(), getpid());
  EXPECT_NE(std::find(tree.begin(), tree.end(), child.pid()), tree.end());
}

}  // namespace
}  // namespace auxin::cli
