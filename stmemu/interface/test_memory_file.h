// SPDX-License-Identifier: Apache-2.0
//
// For tests: a memory file on tmpfs that goes with the test.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <exception>
#include <functional>
#include <string>

#include "auxin/stm.h"
#include "stmemu/isolated/controller.h"
#include "tests/harness/kill_one.h"

namespace auxin::stm {

class MemoryFile {
 public:
  explicit MemoryFile(Mode mode = Mode::kChecked, uint64_t size_bytes = 1 << 20,
                      Durability durability = Durability::kProcess) {
    char name[] = "/dev/shm/auxin-stm-test.XXXXXX";
    directory_ = mkdtemp(name);
    NewMemory how;
    how.mode = mode;
    how.size_bytes = size_bytes;
    how.durability = durability;
    Memory::create(path(), how);
    if (mode == Mode::kIsolated) start_controller();
  }
  ~MemoryFile() {
    if (controller_ > 0) stop_controller(SIGTERM);
    unlink((path() + ".controller").c_str());
    unlink(path().c_str());
    rmdir(directory_.c_str());
  }
  std::string path() const { return directory_ + "/memory"; }

  // The controller of an isolated memory, in a process of its own.
  void start_controller() {
    int ready[2];
    ASSERT_EQ(pipe2(ready, O_CLOEXEC), 0);
    controller_ = fork();
    if (controller_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      static Controller* running = nullptr;
      auto controller = Controller::make(path());
      if (!controller) {
        fprintf(stderr, "controller: %s\n", controller.error().c_str());
        _exit(1);
      }
      running = controller.value().get();
      signal(SIGTERM, [](int) { running->stop(); });
      if (write(ready[1], "!", 1) != 1) _exit(1);
      running->run();
      controller.value().reset();
      _exit(0);
    }
    close(ready[1]);
    char said;
    EXPECT_EQ(read(ready[0], &said, 1), 1) << "the controller serves";
    close(ready[0]);
  }
  void signal_controller(int signal_number) const {
    if (controller_ > 0) kill_one(controller_, signal_number);
  }
  void stop_controller(int signal_number) {
    if (controller_ <= 0) return;
    signal_controller(signal_number);
    waitpid(controller_, nullptr, 0);
    controller_ = -1;
  }
  pid_t controller() const { return controller_; }
  // Whether it has ended by itself; then start another one.
  bool controller_has_ended() {
    if (waitpid(controller_, nullptr, WNOHANG) != controller_) return false;
    controller_ = -1;
    return true;
  }

 private:
  std::string directory_;
  pid_t controller_ = -1;
};

constexpr int kThrew = 99;

// Runs `body` in a child process, which ends with its result; gives wait()'s status.
inline int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    try {
      _exit(body());
    } catch (const std::exception& failure) {  // the child must not go on with the test
      fprintf(stderr, "in a child: %s\n", failure.what());
      _exit(kThrew);
    }
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

// The status of the Failure that `deed` ends with; kOk if it ends well.
inline Status status_of(const std::function<void()>& deed) {
  try {
    deed();
    return Status::kOk;
  } catch (const Failure& failure) {
    EXPECT_STRNE(failure.what(), "");
    return failure.status();
  }
}

}  // namespace auxin::stm
