// SPDX-License-Identifier: Apache-2.0
//
// Goal: whichever member of a group of three dies, whenever, clients lose nothing and nothing is
// done twice; who comes back has the state.
// Method: the first primary, or a backup, is killed at each of its steps under a client that knows
// each balance; then every member serves in turn. Random kills under several clients.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <array>
#include <memory>
#include <thread>

#include "../group_client.h"
#include "../group_view.h"
#include "campaign.h"
#include "keeper.h"
#include "tests/harness/kill_one.h"

namespace auxin::checkpoint::test {
namespace {

using server_group::GroupClient;
using server_group::GroupDirectory;
using server_group::Refused;
using server_group::View;

constexpr size_t kMembers = 3;

class Group {
 public:
  // `victim` dies at `step`; the first member is the first primary.
  explicit Group(size_t victim = kMembers, uint64_t step = 0)
      : path_(directory_.path("group")), directory_of_group_(path_) {
    std::filesystem::create_directory(path_);
    for (size_t i = 0; i < kMembers; ++i) {
      members_[i] = std::make_unique<Keeper>(
          std::vector<std::string>{AUXIN_EXAMPLE_GROUP_SERVER, path_}, i == victim ? step : 0,
          directory_.path("output"));
      // Whoever binds this serves first; if it dies before, another one does.
      const std::string socket = directory_of_group_.socket();
      for (int turn = 0; i == 0 && turn < 3000 && !std::filesystem::exists(socket); ++turn) {
        usleep(1000);
      }
    }
  }

  const std::string& path() const { return path_; }
  Keeper& member(size_t i) { return *members_[i]; }
  int restarts() const {
    int restarts = 0;
    for (const auto& member : members_) restarts += member->restarts();
    return restarts;
  }
  View view() const { return directory_of_group_.read_view(); }
  // All members have the state.
  bool await_all() const {
    for (int i = 0; i < 20'000; ++i) {
      const View now = view();
      size_t living = 0;
      for (const uint64_t member : now.members) living += directory_of_group_.is_alive(member);
      if (living == kMembers) return true;
      usleep(500);
    }
    return false;
  }

 private:
  Directory directory_;
  const std::string path_;
  const GroupDirectory directory_of_group_;
  std::array<std::unique_ptr<Keeper>, kMembers> members_;
};

// One client's accounts, and what must be in them.
class Ledger {
 public:
  Ledger(const Group& group, uint32_t first_account)
      : client_(group.path()), first_account_(first_account) {}

  void deposit() {
    const uint32_t account = turn_ % kAccounts;
    expected_[account] += ++turn_;
    EXPECT_EQ(client_.deposit(first_account_ + account, turn_), expected_[account]);
    if (turn_ % 3 == 0) {
      EXPECT_EQ(client_.ask_again(), expected_[account]) << "a request that came again";
    }
  }
  void check() {
    for (uint32_t i = 0; i < kAccounts; ++i) {
      EXPECT_EQ(client_.read(first_account_ + i), expected_[i]) << "account " << i;
    }
  }
  GroupClient& client() { return client_; }

 private:
  static constexpr uint32_t kAccounts = 4;
  GroupClient client_;
  const uint32_t first_account_;
  uint32_t turn_ = 0;
  int64_t expected_[kAccounts] = {};
};

// Each member serves once: who is the primary is killed, and comes back as a backup.
void check_each(Group& group, Ledger& ledger) {
  for (size_t i = 0; i < kMembers; ++i) {
    ASSERT_TRUE(group.await_all());
    ledger.check();
    ledger.deposit();
    kill_one(ledger.client().primary(), SIGKILL);
    ledger.deposit();
    ledger.check();
  }
}

class ServerGroupVictim : public testing::TestWithParam<size_t> {};

TEST_P(ServerGroupVictim, AMemberKilledAtAnyStepCostsNothing) {
  Stride stride(8);
  uint64_t deaths = 0, survivals = 0;  // in a row: it has fewer steps than that
  for (uint64_t step = stride.next(); survivals < (is_long() ? 20 : 2); step += stride.next()) {
    SCOPED_TRACE("step " + std::to_string(step));
    Group group(GetParam(), step);
    Ledger ledger(group, 0);
    for (int i = 0; i < 6; ++i) ledger.deposit();
    // A second death, perhaps at the same time.
    ASSERT_TRUE(group.await_all());
    if (GetParam() != 0) kill_one(ledger.client().primary(), SIGKILL);
    for (int i = 0; i < 6; ++i) ledger.deposit();
    if (group.member(GetParam()).restarts() > 0) {
      ++deaths;
      survivals = 0;
    } else {
      ++survivals;
    }
    check_each(group, ledger);
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(deaths, 3u);
}

INSTANTIATE_TEST_SUITE_P(Member, ServerGroupVictim, testing::Values(0, 1, 2));

TEST(ServerGroup, RandomKillsUnderSeveralClientsLoseAndDoubleNothing) {
  std::mt19937_64 random(seed());
  Group group;
  constexpr uint32_t kClients = 3;
  const int deposits = is_long() ? 3000 : 150;
  std::atomic<uint32_t> running{kClients};
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < kClients; ++i) {
    threads.emplace_back([&, i] {
      Ledger ledger(group, i * 100);
      for (int turn = 0; turn < deposits; ++turn) ledger.deposit();
      ledger.check();
      --running;
    });
  }
  int kills = 0;
  while (running > 0) {
    // Two of three may be dead at a time, if those that are left had joined.
    if (!group.await_all()) break;
    std::vector<pid_t> victims;
    for (size_t i = 0; i < 1 + random() % 2; ++i) {
      victims.push_back(group.member(random() % kMembers).pid());
      kill_one(victims.back(), SIGKILL);
      usleep(static_cast<useconds_t>(random() % 3000));
    }
    for (const pid_t victim : victims) {
      while (is_alive(victim)) usleep(100);
    }
    ++kills;
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(kills, 2);
}

TEST(ServerGroup, ABackupThatStandsStillIsLeftOutAndComesBack) {
  Group group;
  Ledger ledger(group, 0);
  ledger.deposit();
  ASSERT_TRUE(group.await_all());
  const pid_t primary = ledger.client().primary();
  size_t backup = 0;
  while (group.member(backup).pid() == primary) ++backup;
  kill_one(group.member(backup).pid(), SIGSTOP);
  ledger.deposit();
  EXPECT_EQ(group.view().members.size(), kMembers - 1) << "it has not what was answered";
  ledger.deposit();
  kill_one(group.member(backup).pid(), SIGCONT);
  EXPECT_TRUE(group.await_all());
  EXPECT_EQ(group.restarts(), 0);
  check_each(group, ledger);
}

TEST(ServerGroup, WhenAllAreDeadNobodyPretendsToHaveTheState) {
  Group group;
  {
    Ledger ledger(group, 0);
    ledger.deposit();
  }
  ASSERT_TRUE(group.await_all());
  for (size_t i = 0; i < kMembers; ++i) group.member(i).hold(true);
  for (size_t i = 0; i < kMembers; ++i) kill_one(group.member(i).pid(), SIGKILL);
  for (size_t i = 0; i < kMembers; ++i) {
    while (is_alive(group.member(i).pid())) usleep(500);
  }
  const int status = Program({AUXIN_EXAMPLE_GROUP_SERVER, group.path()}).wait(10'000);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 3);
}

TEST(ServerGroup, ARequestThatCanNotBeDoneIsRefused) {
  Group group;
  GroupClient client(group.path());
  client.deposit(1, 10);
  EXPECT_EQ(client.transfer(1, 2, 4), 6);
  EXPECT_EQ(client.read(2), 4);
  EXPECT_THROW(client.transfer(1, 2, 7), Refused);
  EXPECT_THROW(client.deposit(5000, 1), Refused);
  EXPECT_THROW(client.deposit(1, -1), Refused);
  EXPECT_EQ(client.read(1), 6);
  const int status =
      Program({AUXIN_EXAMPLE_ACCOUNT_CLIENT, group.path(), "deposit", "1", "5", "read", "1"})
          .wait();
  EXPECT_EQ(status, 0);
  EXPECT_EQ(client.read(1), 11);
}

}  // namespace
}  // namespace auxin::checkpoint::test
