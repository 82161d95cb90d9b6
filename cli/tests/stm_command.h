// SPDX-License-Identifier: Apache-2.0
//
// For the tests of `auxin stm`: a memory file in the test's directory.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "auxin/stm.h"
#include "cli/tests/command_run.h"

namespace auxin::cli {

using nlohmann::json;

struct Record : stm::Stable {
  uint64_t words[8] = {};
};

class StmCommandTest : public CommandTest {
 protected:
  // Of two banks of 1 MiB.
  void create(const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"stm", "create", file_, "--size", "1M"};
    words.insert(words.end(), more.begin(), more.end());
    const Done made = auxin_done(words);
    ASSERT_EQ(made.status, 0) << made.errors;
  }
  json said(const std::vector<std::string>& words) {
    const Done done = auxin_done(words);
    return json::parse(done.output, nullptr, false);
  }
  void flip(uint64_t offset) {
    const int file = open(file_.c_str(), O_RDWR);
    char byte = 0;
    ASSERT_EQ(pread(file, &byte, 1, static_cast<off_t>(offset)), 1);
    byte = static_cast<char>(byte ^ 0x10);
    ASSERT_EQ(pwrite(file, &byte, 1, static_cast<off_t>(offset)), 1);
    close(file);
  }

  std::string file_ = path("memory.stm");
};

}  // namespace auxin::cli
