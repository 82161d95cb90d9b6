// SPDX-License-Identifier: Apache-2.0
//
// Starts a program again whenever it has died, until this object ends, and the program with it.
#pragma once

#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "program.h"

namespace auxin::checkpoint::test {

class Keeper {
 public:
  // The first run dies at this step; 0: it does not.
  explicit Keeper(std::vector<std::string> words, uint64_t kill_at = 0, std::string output = "")
      : words_(std::move(words)),
        output_(std::move(output)),
        thread_([this, kill_at] { keep(kill_at); }) {
    while (pid_ == 0) usleep(100);
  }
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
  ~Keeper() {
    ends_ = true;
    thread_.join();
  }
  int restarts() const { return restarts_; }
  // Of the run there is now, or was just now. The first one, if it is to die, is this one's child.
  pid_t pid() const { return pid_; }
  // While it is held, what has died stays dead.
  void hold(bool held) { held_ = held; }

 private:
  void keep(uint64_t kill_at) {
    Program program =
        kill_at == 0 ? Program(words_, output_) : Program::killed_at(kill_at, words_, output_);
    pid_ = program.pid();
    while (!ends_) {
      if (!program.runs() && !held_) {
        program = Program(words_, output_);
        pid_ = program.pid();
        ++restarts_;
      }
      usleep(200);
    }
  }

  const std::vector<std::string> words_;
  const std::string output_;
  std::atomic<bool> ends_{false}, held_{false};
  std::atomic<int> restarts_{0};
  std::atomic<pid_t> pid_{0};
  std::thread thread_;
};

}  // namespace auxin::checkpoint::test
