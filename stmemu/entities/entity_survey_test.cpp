// SPDX-License-Identifier: Apache-2.0
//
// Goal: which entities are in a memory is told by looking only: of a memory at rest, in use,
// damaged in places, or left by a crash in the middle of a commit; and always what was committed.
// Method: a memory with one of each; flipped bytes; banks put together from before and after a
// commit.
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <sstream>
#include <thread>

#include "auxin/stm_entities.h"
#include "auxin/stm_message_server.h"
#include "stmemu/entities/entity_survey.h"
#include "stmemu/interface/test_memory_file.h"
#include "stmemu/transaction/descriptor.h"

namespace auxin::stm {
namespace {

constexpr uint64_t kBankBytes = 4 << 20;

struct Cell : Stable {
  uint64_t value = 0;
};

template <typename Entity>
const Entity* named(const std::vector<Entity>& entities, const std::string& name) {
  for (const Entity& entity : entities) {
    if (entity.name == name) return &entity;
  }
  return nullptr;
}

class EntitySurveyTest : public testing::Test {
 protected:
  EntitySurveyTest() {
    Memory memory = Memory::open(file_.path());
    atomically(memory, [](Transaction&) { MemoryObject::create("ledger", 200); });
    atomically(MemoryObject::find("ledger").memory(), [](Transaction& t) {
      for (int i = 0; i < 3; ++i) t.make<Cell>();
    });
    atomically(memory, [](Transaction&) {
      const StablePort port = StablePort::create("accounts", {64});
      StablePort::create();
      StableTask::create("clerk", "clerk entry", MemoryObject::find("ledger"));
      MessageLink::create("branch");
      MessageLink::make_proxy("branch", "branch accounts").send(7);
      port.send(1);
      port.send(2);
    });
    memory.close();
    register_entry("clerk entry", [this](const StableTask&) {
      inside_ = true;
      while (!go_on_) std::this_thread::yield();
    });
  }

  EntitySurvey look(const std::string& path) {
    PhysicalMemory memory;
    const Result<bool> mapped = memory.map(path, PhysicalMemory::Access::kRead);
    EXPECT_TRUE(mapped) << mapped.error();
    EntitySurveyor surveyor(memory);
    survey_ = survey(memory, [&](const ObjectSurvey& object) { surveyor.see(object); });
    return surveyor.tell();
  }
  EntitySurvey look() { return look(file_.path()); }

  std::string bytes() const {
    std::ifstream file(file_.path(), std::ios::binary);
    std::stringstream all;
    all << file.rdbuf();
    return all.str();
  }
  void write_bytes(const std::string& path, const std::string& bytes) const {
    std::ofstream file(path, std::ios::binary);
    file << bytes;
    file.close();
    chmod(path.c_str(), 0600);
  }
  // In bank A, B or both.
  void flip(uint64_t address, const std::vector<int>& banks) const {
    std::fstream file(file_.path(), std::ios::binary | std::ios::in | std::ios::out);
    for (const int bank : banks) {
      const auto at = static_cast<std::streamoff>(address + bank * kBankBytes);
      char byte = 0;
      file.seekg(at).read(&byte, 1);
      byte = static_cast<char>(byte ^ 0x20);
      file.seekp(at).write(&byte, 1);
    }
  }
  uint64_t accounts_part(uint64_t PortRecord::*part) {
    const uint64_t record = named(look().ports, "accounts")->address;
    PhysicalMemory memory;
    EXPECT_TRUE(memory.map(file_.path(), PhysicalMemory::Access::kRead));
    PortRecord port;
    memcpy(&port, memory.banks().a.at(record), sizeof(port));
    return port.*part;
  }

  MemoryFile file_{Mode::kChecked, kBankBytes};
  Survey survey_;
  std::atomic<bool> inside_{false}, go_on_{false};
};

TEST_F(EntitySurveyTest, TellsEachEntityAndChangesNothing) {
  const std::string before = bytes();
  const EntitySurvey survey = look();
  EXPECT_TRUE(bytes() == before);

  ASSERT_EQ(survey.memory_objects.size(), 1u);
  const SurveyedMemoryObject& ledger = survey.memory_objects[0];
  EXPECT_EQ(ledger.name, "ledger");
  EXPECT_EQ(ledger.quota_pages, 200u);
  EXPECT_GT(ledger.pages, 0u);
  EXPECT_EQ(ledger.objects, 3u);
  EXPECT_EQ(ledger.object_bytes, 3 * sizeof(Cell));
  EXPECT_EQ(ledger.task, "clerk");

  ASSERT_EQ(survey.ports.size(), 3u) << "the link's own queue is none of them";
  const SurveyedPort* accounts = named(survey.ports, "accounts");
  ASSERT_NE(accounts, nullptr);
  EXPECT_EQ(accounts->queue.waiting(), 2u);
  EXPECT_EQ(accounts->longest_queue, 64u);
  ASSERT_NE(named(survey.ports, ""), nullptr);
  EXPECT_NE(named(survey.ports, "")->address, 0u);
  const SurveyedPort* proxy = named(survey.ports, "branch accounts");
  ASSERT_NE(proxy, nullptr);
  EXPECT_TRUE(proxy->proxy);
  EXPECT_EQ(proxy->link, "branch");

  ASSERT_EQ(survey.tasks.size(), 1u);
  EXPECT_EQ(survey.tasks[0].name, "clerk");
  EXPECT_EQ(survey.tasks[0].entry, "clerk entry");
  EXPECT_EQ(survey.tasks[0].memory_object, "ledger");
  EXPECT_EQ(survey.tasks[0].state, SurveyedTask::State::kReady);

  ASSERT_EQ(survey.links.size(), 1u);
  EXPECT_EQ(survey.links[0].name, "branch");
  EXPECT_EQ(survey.links[0].queue.waiting(), 1u);
}

TEST_F(EntitySurveyTest, InAMemoryThatIsInUseTellsWhatIsCommittedAndWhatRuns) {
  const Memory memory = Memory::open(file_.path());
  std::thread clerk([&] { run_task("clerk"); });
  while (!inside_) std::this_thread::yield();
  Transaction t(memory);
  t.Begin();
  StablePort::find("accounts").send(3);
  StablePort::create("never");
  const std::string before = bytes();
  const EntitySurvey running = look();
  EXPECT_TRUE(bytes() == before);
  t.Abort();
  go_on_ = true;
  clerk.join();

  EXPECT_EQ(named(running.ports, "accounts")->queue.waiting(), 2u);
  EXPECT_EQ(named(running.ports, "never"), nullptr);
  EXPECT_EQ(running.tasks[0].state, SurveyedTask::State::kRunning);
  EXPECT_EQ(running.tasks[0].pid, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(look().tasks[0].state, SurveyedTask::State::kFinished);
}

TEST_F(EntitySurveyTest, WhileOthersSendAndReceiveEachCountIsOneThatWas) {
  const Memory memory = Memory::open(file_.path());
  std::atomic<bool> stop{false};
  std::thread sender([&] {
    while (!stop) {
      atomically(memory, [](Transaction&) {
        int number = 0;
        StablePort::find("accounts").send(1);
        StablePort::find("accounts").receive(number, 0);
      });
    }
  });
  for (int round = 0; round < 50; ++round) {
    const EntitySurvey survey = look();
    const SurveyedPort* accounts = named(survey.ports, "accounts");
    ASSERT_NE(accounts, nullptr);
    EXPECT_TRUE(accounts->queue.known);
    // (Between the looks at the head and at the tail some more may have been sent.)
    EXPECT_GE(accounts->queue.waiting(), 2u);
    EXPECT_EQ(survey_.damaged + survey_.lost, 0u) << survey_.damage[0];
  }
  stop = true;
  sender.join();
}

TEST_F(EntitySurveyTest, DamageInOneBankHidesNothing) {
  const EntitySurvey whole = look();
  for (const int bank : {0, 1}) {
    for (const uint64_t address :
         {whole.memory_objects[0].address, whole.tasks[0].address, whole.links[0].address,
          whole.ports[0].address, accounts_part(&PortRecord::head)}) {
      flip(address, {bank});
      const EntitySurvey survey = look();
      EXPECT_EQ(survey_.damaged, 1u);
      ASSERT_EQ(survey.ports.size(), 3u);
      EXPECT_EQ(named(survey.ports, "accounts")->queue.waiting(), 2u);
      ASSERT_EQ(survey.memory_objects.size(), 1u);
      EXPECT_EQ(survey.memory_objects[0].quota_pages, 200u);
      ASSERT_EQ(survey.tasks.size(), 1u);
      EXPECT_EQ(survey.tasks[0].entry, "clerk entry");
      ASSERT_EQ(survey.links.size(), 1u);
      EXPECT_EQ(survey.links[0].queue.waiting(), 1u);
      flip(address, {bank});
    }
  }
}

TEST_F(EntitySurveyTest, WhatIsLostInBothBanksIsNamed) {
  const EntitySurvey whole = look();
  const uint64_t head = accounts_part(&PortRecord::head);
  for (const uint64_t address : {named(whole.ports, "accounts")->address, whole.tasks[0].address,
                                 whole.links[0].address, whole.memory_objects[0].address}) {
    flip(address, {0, 1});
  }
  const EntitySurvey damaged = look();
  EXPECT_EQ(survey_.lost, 4u);
  ASSERT_NE(named(damaged.ports, "accounts"), nullptr);
  EXPECT_TRUE(named(damaged.ports, "accounts")->lost);
  ASSERT_NE(named(damaged.tasks, "clerk"), nullptr);
  EXPECT_TRUE(named(damaged.tasks, "clerk")->lost);
  ASSERT_NE(named(damaged.links, "branch"), nullptr);
  EXPECT_TRUE(named(damaged.links, "branch")->lost);
  ASSERT_NE(named(damaged.memory_objects, "ledger"), nullptr);
  EXPECT_TRUE(named(damaged.memory_objects, "ledger")->lost);
  EXPECT_FALSE(named(damaged.ports, "")->lost);

  flip(named(whole.ports, "accounts")->address, {0, 1});
  flip(head, {0, 1});
  const EntitySurvey headless = look();
  EXPECT_FALSE(named(headless.ports, "accounts")->lost);
  EXPECT_FALSE(named(headless.ports, "accounts")->queue.known);
}

// Bank A as it was after a commit, bank B as before; the descriptor of the transaction says which
// of them counts.
TEST_F(EntitySurveyTest, OfACommitThatACrashCutShortTellsWhatWillBe) {
  const std::string before = bytes();
  {
    Memory memory = Memory::open(file_.path());
    atomically(memory, [](Transaction&) {
      int number = 0;
      StablePort::find("accounts").send(3);
      StablePort::find("accounts").send(4);
      StablePort::find("accounts").receive(number, 0);
      StablePort::create("new");
    });
    memory.close();
  }
  const std::string after = bytes();
  uint64_t descriptor = 0;
  DescriptorState state = {};
  uint64_t seed = 0;
  {
    PhysicalMemory memory;
    ASSERT_TRUE(memory.map(file_.path(), PhysicalMemory::Access::kRead));
    seed = memory.seed();
    survey(memory, [&](const ObjectSurvey& object) {
      const uint64_t at = object.place.contents;
      if (object.header.kind() == ObjectKind::kDescriptor &&
          memcmp(before.data() + at, after.data() + at, 8) != 0) {
        descriptor = at;
        EXPECT_TRUE(read_state(memory, at, &state));
      }
    });
  }
  ASSERT_NE(descriptor, 0u);
  for (const Phase phase : {Phase::kIdle, Phase::kCommitted}) {
    std::string crashed = after.substr(0, kBankBytes) + before.substr(kBankBytes);
    crashed.replace(kBankBytes + descriptor, kDescriptorBytes,
                    after.substr(descriptor, kDescriptorBytes));
    const uint64_t word = pack_state(seed, descriptor, {state.serial - 1, phase});
    for (const uint64_t bank : {uint64_t{0}, kBankBytes}) {
      memcpy(crashed.data() + bank + descriptor, &word, sizeof(word));
    }
    write_bytes(file_.path(), crashed);
    const EntitySurvey told = look();
    EXPECT_EQ(survey_.in_flight, 1u);
    const bool committed = phase == Phase::kCommitted;
    ASSERT_NE(named(told.ports, "accounts"), nullptr);
    EXPECT_EQ(named(told.ports, "accounts")->queue.waiting(), committed ? 3u : 2u);
    EXPECT_EQ(named(told.ports, "accounts")->queue.received, committed ? 1u : 0u);
    EXPECT_EQ(named(told.ports, "new") != nullptr, committed);

    // … and so it is.
    Memory memory = Memory::open(file_.path());
    const PortReport report = StablePort::find("accounts").report();
    EXPECT_EQ(report.queued(), committed ? 3u : 2u);
    EXPECT_EQ(static_cast<bool>(StablePort::find("new")), committed);
    memory.close();
  }
}

}  // namespace
}  // namespace auxin::stm
