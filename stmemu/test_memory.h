// SPDX-License-Identifier: Apache-2.0
//
// For this room's tests: a directory on tmpfs that goes away with the test, small memories in it,
// child processes, and the seed that random tests print and take.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <random>
#include <string>
#include <utility>

#include "stmemu/log/stable_memory.h"

namespace auxin::stm {

inline constexpr uint32_t kTestControlVersion = 7;
inline constexpr Layout kSmallLayout = {4096, 64, 4096};

class TestDirectory {
 public:
  TestDirectory() {
    std::string pattern = "/dev/shm/auxin-stmemu-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline StableMemory create_or_abort(const std::string& path, const Layout& layout) {
  Result<StableMemory> made = StableMemory::create(path, layout, kTestControlVersion);
  if (!made) {
    fprintf(stderr, "%s\n", made.error().c_str());
    std::abort();
  }
  return std::move(made.value());
}

inline StableMemory open_or_abort(const std::string& path) {
  Result<StableMemory> opened = StableMemory::open(path, kTestControlVersion);
  if (!opened) {
    fprintf(stderr, "%s\n", opened.error().c_str());
    std::abort();
  }
  return std::move(opened.value());
}

// Runs `body` in a child process, which ends with the status that `body` returns, or with the test.
template <typename Body>
pid_t in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(body());
  }
  return child;
}

// The exit status of `child`, or minus the signal that ended it.
inline int end_of(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, 0) != child) return -1000;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

inline uint64_t environment_number(const char* name, uint64_t otherwise) {
  const char* text = getenv(name);
  return text == nullptr ? otherwise : strtoull(text, nullptr, 0);
}

// From AUXIN_SEED, else random; printed, so that a failure can be repeated.
inline uint64_t test_seed() {
  const uint64_t seed = environment_number("AUXIN_SEED", std::random_device{}());
  printf("AUXIN_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace auxin::stm
