// SPDX-License-Identifier: Apache-2.0
//
// `auxin stm`: what it makes, says, finds and refuses, with its exit status: 0 sound, 1 damage
// found, 2 refused.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "cli/tests/stm_command.h"

namespace auxin::cli {
namespace {

class Stm : public StmCommandTest {
 protected:
  // Twenty records, one of them a root.
  void fill() {
    stm::Memory memory = stm::Memory::open(file_);
    stm::atomically(memory, [](stm::Transaction& t) {
      for (int i = 0; i < 20; ++i) {
        auto record = t.make<Record>();
        record->words[0] = 0x61626364;
        if (i == 7) t.set_root("seventh", record.reference());
      }
    });
    memory.close();
  }
};

TEST_F(Stm, AMemoryIsMadeDescribedAndSound) {
  create();
  fill();
  const Done info = auxin_done({"stm", "info", file_});
  EXPECT_EQ(info.status, 0);
  for (const char* part : {"mode            checked", "banks           2 of 1.0 MiB",
                           "objects         20, 1.2 KiB", "damage          none",
                           "root            seventh -> 0x"}) {
    EXPECT_NE(info.output.find(part), std::string::npos) << info.output;
  }
  const json described = said({"stm", "info", file_, "--json"});
  EXPECT_EQ(described["objects"], 20);
  EXPECT_EQ(described["roots"][0]["name"], "seventh");
  const Done check = auxin_done({"stm", "check", file_});
  EXPECT_EQ(check.status, 0) << check.output;
  EXPECT_NE(check.output.find("sound"), std::string::npos);
}

TEST_F(Stm, DumpListsObjectsAndShowsOnesBytes) {
  create();
  fill();
  const json listed = said({"stm", "dump", file_, "--json"});
  uint64_t root = 0;
  int records = 0;
  for (const json& object : listed["objects"]) {
    records += object["kind"] == "object" && object["size_bytes"] == sizeof(Record);
    if (object.contains("root")) root = object["address"];
  }
  EXPECT_EQ(records, 20);
  const Done one = auxin_done({"stm", "dump", file_, "--object", std::to_string(root)});
  EXPECT_EQ(one.status, 0);
  EXPECT_NE(one.output.find("64 63 62 61"), std::string::npos) << one.output;
  EXPECT_EQ(auxin_done({"stm", "dump", file_, "--object", "0x7"}).status, 2);
  EXPECT_EQ(auxin_done({"stm", "dump", file_, "--object", "seven"}).status, 2);
}

TEST_F(Stm, DamageInOneBankIsFoundThenMended) {
  create();
  fill();
  const json listed = said({"stm", "dump", file_, "--json"});
  for (const json& object : listed["objects"]) {
    for (const uint64_t bank : {uint64_t{0}, uint64_t{1} << 20}) {
      flip(bank + object["address"].get<uint64_t>());
      EXPECT_EQ(auxin_done({"stm", "check", file_}).status, 1);
      const Done repair = auxin_done({"stm", "check", file_, "--repair"});
      EXPECT_EQ(repair.status, 1);
      EXPECT_NE(repair.output.find("repaired"), std::string::npos) << repair.output;
      EXPECT_EQ(auxin_done({"stm", "check", file_}).status, 0);
    }
  }
}

TEST_F(Stm, DamageInBothBanksNamesTheObject) {
  create();
  fill();
  const json described = said({"stm", "info", file_, "--json"});
  const uint64_t root = described["roots"][0]["address"];
  flip(root);
  flip(root + (1 << 20));
  char address[32];
  snprintf(address, sizeof(address), "0x%llx", static_cast<unsigned long long>(root));
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"stm", "check", file_}, {"stm", "check", file_, "--repair"}}) {
    const Done check = auxin_done(words);
    EXPECT_EQ(check.status, 1);
    EXPECT_NE(check.output.find(address), std::string::npos) << check.output;
    EXPECT_NE(check.output.find("both"), std::string::npos) << check.output;
  }
}

// In which the other descriptors are made: nothing can be in flight on it at rest but a crash's.
TEST_F(Stm, ABootDescriptorDamagedInBothBanksIsNamedAndMadeAnew) {
  create();
  fill();
  constexpr uint64_t kBootDescriptor = 4096;
  flip(kBootDescriptor);
  flip(kBootDescriptor + (1 << 20));
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"stm", "check", file_}, {"stm", "check", file_, "--repair"}}) {
    const Done check = auxin_done(words);
    EXPECT_EQ(check.status, 1);
    EXPECT_NE(check.output.find("transaction descriptor 4096: both copies of its state"),
              std::string::npos)
        << check.output;
  }
  EXPECT_EQ(auxin_done({"stm", "check", file_}).status, 0);
  fill();
  EXPECT_EQ(said({"stm", "info", file_, "--json"})["objects"], 40);
}

TEST_F(Stm, ABankThatIsCutOffIsMended) {
  create();
  fill();
  ASSERT_EQ(truncate(file_.c_str(), 1'200'000), 0);
  EXPECT_EQ(auxin_done({"stm", "check", file_}).status, 1);
  EXPECT_EQ(auxin_done({"stm", "check", file_, "--repair"}).status, 1);
  EXPECT_EQ(auxin_done({"stm", "check", file_}).status, 0);
  ASSERT_EQ(truncate(file_.c_str(), 700'000), 0);
  const Done check = auxin_done({"stm", "check", file_});
  EXPECT_EQ(check.status, 2);
  EXPECT_NE(check.errors.find("both banks have lost"), std::string::npos) << check.errors;
}

TEST_F(Stm, WhatIsNoMemoryIsRefused) {
  write_file(path("text"), std::string(100'000, 'x'));
  const std::vector<std::vector<std::string>> refused = {
      {"stm", "info", path("text")},   {"stm", "check", path("missing")},
      {"stm", "dump", path("")},    {"stm", "create", path("text")},
      {"stm", "create", path("a"), "--size", "1K"},
      {"stm", "create", path("a"), "--mode", "open"},
      {"stm", "serve", path("text")}};
  for (const auto& words : refused) {
    const Done done = auxin_done(words);
    EXPECT_EQ(done.status, 2) << words[1];
    EXPECT_EQ(done.output, "");
    EXPECT_EQ(std::count(done.errors.begin(), done.errors.end(), '\n'), 1) << done.errors;
  }
  create();
  ASSERT_EQ(chmod(file_.c_str(), 0644), 0);
  const Done open_to_all = auxin_done({"stm", "check", file_});
  EXPECT_EQ(open_to_all.status, 2);
  EXPECT_NE(open_to_all.errors.find("chmod 600"), std::string::npos);
}

TEST_F(Stm, OnlyAnIsolatedMemoryHasAController) {
  create();
  const Done served = auxin_done({"stm", "serve", file_});
  EXPECT_EQ(served.status, 2);
  EXPECT_NE(served.errors.find("only an isolated memory"), std::string::npos) << served.errors;
}

}  // namespace
}  // namespace auxin::cli
