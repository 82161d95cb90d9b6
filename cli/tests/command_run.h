// SPDX-License-Identifier: Apache-2.0
//
// For the command's tests: a scratch directory on tmpfs, the `auxin` command as a child process,
// and waiting for a condition instead of sleeping.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "replication/supervisor/group_memory.h"

namespace auxin::cli {

// Polls until `condition` holds; false after `timeout`.
bool await(const std::function<bool()>& condition,
           std::chrono::milliseconds timeout = std::chrono::seconds(30));

std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& text);

// A running (or ended) child. Killed if it still runs when the object goes.
class Process {
 public:
  using Environment = std::map<std::string, std::string>;  // a value "" removes the variable

  Process(std::vector<std::string> words, const std::string& output_path,
          const Environment& environment);
  ~Process();
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;

  int pid() const { return pid_; }
  void signal(int number) const;
  // As a shell would tell it; fails the test (and returns -1) after 30 s.
  int wait();
  bool ended();
  std::string output() const { return read_file(output_path_ + ".out"); }
  std::string errors() const { return read_file(output_path_ + ".err"); }

 private:
  std::string output_path_;
  int pid_ = -1;
  std::optional<int> status_;
};

// A directory of the test's own, with a configuration that keeps logs small. Ends what its groups
// left running, and fails the test if the test did not expect that.
class CommandTest : public ::testing::Test {
 protected:
  CommandTest();
  ~CommandTest() override;

  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  std::string root() const { return path("state"); }
  std::string memory_path(const std::string& name = "fake") const {
    return root() + "/" + name + "/memory";
  }

  // auxin WORDS…, with the environment that the tests need.
  Process auxin(std::vector<std::string> words, const Process::Environment& more = {});
  // The same, waited for.
  struct Done {
    int status;
    std::string output, errors;
  };
  Done auxin_done(std::vector<std::string> words, const Process::Environment& more = {});
  // auxin run … --name fake -- fake_replica SERVER_WORDS…
  Process run_fake(std::vector<std::string> server_words = {},
                   std::vector<std::string> options = {});

  // The group's words; nothing while there is no whole memory.
  std::optional<supervisor::GroupMemory> memory(const std::string& name = "fake") const;
  int pid_of(int replica) const;
  uint32_t incarnation_of(int replica) const;
  replication::Role role_of(int replica) const;
  void await_ready(Process& run);
  // Until replica `id` runs as a process other than `old_pid` and is ready.
  bool await_replacement(int id, int old_pid);

  std::string ready_file() const { return path("ready"); }

 private:
  std::string directory_;
  int counter_ = 0;
};

std::string fake_replica_path();

}  // namespace auxin::cli
