// SPDX-License-Identifier: Apache-2.0
//
// What `auxin stm info` and `auxin stm dump` say of the stable entities in a memory, at rest, in
// use and damaged. (What is found where: stmemu/entities/entity_survey_test.cpp.)
#include "auxin/stm_entities.h"
#include "auxin/stm_message_server.h"
#include "cli/tests/stm_command.h"

namespace auxin::cli {
namespace {

class StmEntities : public StmCommandTest {
 protected:
  void SetUp() override {
    create();
    stm::Memory memory = stm::Memory::open(file_);
    stm::atomically(memory, [](stm::Transaction&) {
      stm::MemoryObject::create("ledger", 64);
    });
    stm::atomically(stm::MemoryObject::find("ledger").memory(),
                    [](stm::Transaction& t) { t.make<Record>(); });
    stm::atomically(memory, [](stm::Transaction&) {
      const stm::StablePort accounts = stm::StablePort::create("accounts");
      stm::StablePort::create();
      const auto clerk =
          stm::StableTask::create("clerk", "serve", stm::MemoryObject::find("ledger"));
      stm::MessageLink::create("branch");
      stm::MessageLink::make_proxy("branch", "branch accounts").send(7);
      accounts.send(1);
      accounts.send(2);
      clerk.give(stm::StablePort::create("letters\n"), stm::Right::kReceive);
    });
    memory.close();
  }
  void expect_lines(const Done& done, const std::vector<std::string>& lines) {
    for (const std::string& line : lines) {
      EXPECT_NE(done.output.find("\n" + line + "\n"), std::string::npos) << line << "\n in\n"
                                                                         << done.output;
    }
  }
  uint64_t address_of(const char* kind, const std::string& name) {
    const json told = said({"stm", "info", file_, "--json"});
    for (const json& entity : told[kind]) {
      if (entity["name"] == name) return entity["address"];
    }
    return 0;
  }
};

TEST_F(StmEntities, InfoListsThem) {
  const std::string before = read_file(file_);
  const Done info = auxin_done({"stm", "info", file_});
  EXPECT_EQ(info.status, 0) << info.errors;
  expect_lines(info, {"memory object   ledger: 4 of 64 pages, 1 object, 64 bytes, private to task "
                      "clerk",
                      "port            accounts: 2 messages waiting",
                      "port            branch accounts: a proxy, by link branch",
                      "port            letters\\x0a: 0 messages waiting, for task clerk",
                      "task            clerk: entry serve, ready, started 0 times",
                      "link            branch: 1 message waiting, 0 sent, 0 received, 0 dropped"});
  EXPECT_NE(info.output.find("\nport            0x"), std::string::npos) << "one without a name";

  const json told = said({"stm", "info", file_, "--json"});
  EXPECT_TRUE(read_file(file_) == before);
  ASSERT_EQ(told["memory_objects"].size(), 1u);
  EXPECT_EQ(told["memory_objects"][0]["quota_pages"], 64);
  EXPECT_EQ(told["memory_objects"][0]["pages"], 4);
  EXPECT_EQ(told["memory_objects"][0]["objects"], 1);
  EXPECT_EQ(told["memory_objects"][0]["task"], "clerk");
  ASSERT_EQ(told["ports"].size(), 4u);
  for (const json& port : told["ports"]) {
    if (port["name"] != "accounts") continue;
    EXPECT_EQ(port["messages_waiting"], 2);
    EXPECT_EQ(port["messages_sent"], 2);
    EXPECT_EQ(port["receiver"], "node");
    EXPECT_EQ(port["lost"], false);
  }
  ASSERT_EQ(told["tasks"].size(), 1u);
  EXPECT_EQ(told["tasks"][0]["entry"], "serve");
  EXPECT_EQ(told["tasks"][0]["state"], "ready");
  ASSERT_EQ(told["links"].size(), 1u);
  EXPECT_EQ(told["links"][0]["messages_waiting"], 1);
}

TEST_F(StmEntities, InfoOfAMemoryInUseTellsWhatIsCommitted) {
  stm::Memory memory = stm::Memory::open(file_);
  stm::Transaction t(memory);
  t.Begin();
  stm::StablePort::find("accounts").send(3);
  stm::StablePort::create("never");
  const std::string before = read_file(file_);
  const Done info = auxin_done({"stm", "info", file_});
  EXPECT_TRUE(read_file(file_) == before);
  EXPECT_EQ(info.status, 0) << info.errors;
  expect_lines(info, {"in use          yes", "port            accounts: 2 messages waiting"});
  EXPECT_EQ(info.output.find("never"), std::string::npos) << info.output;
  t.Commit();
  const Done later = auxin_done({"stm", "info", file_});
  expect_lines(later, {"port            accounts: 3 messages waiting"});
  EXPECT_NE(later.output.find("port            never: 0 messages waiting"), std::string::npos);
  memory.close();
}

TEST_F(StmEntities, InfoOfADamagedMemoryTellsWhatIsLeft) {
  const uint64_t accounts = address_of("ports", "accounts");
  const uint64_t clerk = address_of("tasks", "clerk");
  constexpr uint64_t kBank = 1 << 20;
  for (const uint64_t at : {accounts, accounts + kBank, clerk}) flip(at);
  const std::string before = read_file(file_);
  const Done info = auxin_done({"stm", "info", file_});
  EXPECT_EQ(info.status, 0) << info.errors;
  char lost[80];
  snprintf(lost, sizeof(lost), "port            accounts: damaged in both banks (0x%llx)",
           static_cast<unsigned long long>(accounts));
  expect_lines(info, {lost, "port            letters\\x0a: 0 messages waiting, for task clerk",
                      "task            clerk: entry serve, ready, started 0 times"});
  const json told = said({"stm", "info", file_, "--json"});
  EXPECT_TRUE(read_file(file_) == before);
  ASSERT_EQ(told["ports"].size(), 4u);
  for (const json& port : told["ports"]) {
    EXPECT_EQ(port["lost"], port["name"] == "accounts");
    EXPECT_EQ(port.contains("messages_waiting"), port["lost"] == false && !port.contains("link"));
  }
}

TEST_F(StmEntities, DumpSaysWhatEachObjectIs) {
  const json listed = said({"stm", "dump", file_, "--json"});
  std::map<std::string, int> parts;
  for (const json& object : listed["objects"]) {
    const std::string part = object["part"];
    ++parts[part];
    const bool of_a_port = part.rfind("link", 0) == 0 || part.rfind("port", 0) == 0;
    EXPECT_EQ(object["kind"] == "port", of_a_port) << part;
  }
  // Four ports and the link's own queue, of which the proxy has no ends; three messages wait.
  const std::map<std::string, int> expected = {
      {"memory object", 1}, {"port", 5},      {"port head", 4},  {"port tail", 4},
      {"port node", 7},     {"message", 3},   {"link", 1},       {"link sent", 1},
      {"link received", 1}, {"task", 1},      {"task lease", 1}, {"task rights", 1}};
  for (const auto& [part, count] : expected) EXPECT_EQ(parts[part], count) << part;
  const Done dump = auxin_done({"stm", "dump", file_});
  for (const auto& [part, count] : expected) {
    EXPECT_NE(dump.output.find("  " + part + "  "), std::string::npos) << part;
  }
}

}  // namespace
}  // namespace auxin::cli
