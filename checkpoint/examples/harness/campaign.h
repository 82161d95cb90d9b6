// SPDX-License-Identifier: Apache-2.0
//
// What the campaigns of kills have in common: a directory, a seed, which steps are tried.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>

namespace auxin::checkpoint::test {

// On tmpfs; it goes with this object.
class Directory {
 public:
  Directory() {
    std::string name = "/dev/shm/auxin-example-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline bool is_long() {
  const char* given = std::getenv("AUXIN_LONG");
  return given != nullptr && *given != '\0' && *given != '0';
}

// AUXIN_SEED, or another one each time; printed.
inline uint64_t seed() {
  const char* given = std::getenv("AUXIN_SEED");
  const uint64_t chosen =
      given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  std::printf("AUXIN_SEED=%llu\n", static_cast<unsigned long long>(chosen));
  return chosen;
}

// From one step of a program to the next that is tried: each if the campaign is long, else one in
// `about`, at random.
class Stride {
 public:
  explicit Stride(uint64_t about) : about_(about), random_(seed()) {}
  uint64_t next() {
    return is_long() ? 1 : std::uniform_int_distribution<uint64_t>(1, 2 * about_ - 1)(random_);
  }

 private:
  const uint64_t about_;
  std::mt19937_64 random_;
};

}  // namespace auxin::checkpoint::test
