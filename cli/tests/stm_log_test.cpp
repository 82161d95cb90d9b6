// SPDX-License-Identifier: Apache-2.0
//
// What `auxin stm` says of a memory file that holds the log of a group.
#include "cli/tests/stm_command.h"
#include "stmemu/log/log_area.h"
#include "stmemu/log/stable_log.h"
#include "stmemu/memory/board.h"

namespace auxin::cli {
namespace {

class StmLog : public StmCommandTest {
 protected:
  void SetUp() override {
    auto memory = stm::StableMemory::create(file_, {4096, 64, 4096}, 1);
    ASSERT_TRUE(memory) << memory.error();
    stm::StableLog::format(*memory);
    stm::StableLog log(*memory);
    stm::LogEntry entry{};
    entry.kind = 1;
    for (int n = 0; n < 16; ++n) log.append(entry);
  }
  // Of the log's area in the file.
  static uint64_t area() { return stm::memory_file_bytes(stm::kGroupBankBytes); }
};

TEST_F(StmLog, InfoTellsOfIt) {
  const Done info = auxin_done({"stm", "info", file_});
  EXPECT_EQ(info.status, 0) << info.errors;
  EXPECT_NE(info.output.find("log             a group's: 16 entries from position 0 on, 0 holes; "
                             "entries 25.0 % full, payload 0.0 %\n"),
            std::string::npos)
      << info.output;
  const json told = said({"stm", "info", file_, "--json"});
  EXPECT_EQ(told["log"]["entries"], 16);
  EXPECT_EQ(told["log"]["entry_capacity"], 64);
  EXPECT_FALSE(told.contains("log_damage"));
}

TEST_F(StmLog, CheckIsContentWithASoundOne) {
  const Done check = auxin_done({"stm", "check", file_});
  EXPECT_EQ(check.status, 0) << check.output;
  EXPECT_NE(check.output.find(": sound"), std::string::npos);
}

TEST_F(StmLog, ADamagedEntryIsFoundAndNamed) {
  flip(area() + 3 * 4096 + 5 * 64 + 20);
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"stm", "check", file_},
        std::vector<std::string>{"stm", "check", file_, "--repair"}}) {
    const Done check = auxin_done(words);
    EXPECT_EQ(check.status, 1);
    EXPECT_NE(check.output.find("1 of 16 entries damaged, the first at position 5"),
              std::string::npos)
        << check.output;
    EXPECT_NE(check.output.find("auxin run --fresh"), std::string::npos);
  }
  EXPECT_EQ(said({"stm", "check", file_, "--json"})["sound"], false);
  EXPECT_NE(auxin_done({"stm", "info", file_}).output.find("damage          1 record"),
            std::string::npos);
}

TEST_F(StmLog, ADamagedHeaderOfItIsFound) {
  flip(area() + 24);
  const Done check = auxin_done({"stm", "check", file_});
  EXPECT_EQ(check.status, 1);
  EXPECT_NE(check.output.find("its log's header does not match its checksum"), std::string::npos)
      << check.output;
}

TEST_F(StmLog, ASuperblockIsMendedAndTheLogStays) {
  flip(20);
  EXPECT_EQ(auxin_done({"stm", "check", file_}).status, 1);
  EXPECT_EQ(auxin_done({"stm", "check", file_, "--repair"}).status, 1);
  EXPECT_EQ(auxin_done({"stm", "check", file_}).status, 0);
  EXPECT_EQ(said({"stm", "info", file_, "--json"})["log"]["entries"], 16);
}

TEST_F(StmLog, AFileWhoseEndIsCutOffIsSaidToBe) {
  ASSERT_EQ(truncate(file_.c_str(), static_cast<off_t>(area() + 8192)), 0);
  const Done check = auxin_done({"stm", "check", file_});
  EXPECT_EQ(check.status, 1);
  EXPECT_NE(check.output.find("the file's end is cut off"), std::string::npos) << check.output;
}

}  // namespace
}  // namespace auxin::cli
