// SPDX-License-Identifier: Apache-2.0
//
// A program that a test runs: started, looked at, killed; killed and waited for at the latest when
// this ends. Not thread-safe.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace auxin::checkpoint::test {

class Program {
 public:
  // `output`: a file that standard output is appended to; "": nobody reads it.
  explicit Program(std::vector<std::string> words, std::string output = "");
  // The same, and it dies just before its `step`-th system call (killed_at.cpp).
  static Program killed_at(uint64_t step, std::vector<std::string> words, std::string output = "");
  Program(Program&& other) noexcept;
  Program& operator=(Program&& other) noexcept;
  ~Program();

  pid_t pid() const { return pid_; }
  bool runs();
  void signal(int number) const;
  // Ends it, and returns when it is gone.
  void kill();
  // Until it ends by itself; its status as waitpid gives it. After `limit_ms` it is killed and the
  // test fails.
  int wait(int limit_ms = 60'000);

 private:
  std::vector<std::string> words_;
  std::string output_;
  pid_t pid_ = -1;
  int kill_signal_ = SIGKILL;
  int status_ = 0;
};

// Whether there is a process, and it has not ended.
bool is_alive(pid_t pid);

// The whole of a file; "" if there is none.
std::string contents(const std::string& path);
std::vector<std::string> lines_of(const std::string& path);

}  // namespace auxin::checkpoint::test
