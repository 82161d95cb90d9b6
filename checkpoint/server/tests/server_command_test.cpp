// SPDX-License-Identifier: Apache-2.0
//
// Goal: `auxin checkpoint-server` keeps what was put through its own death at any moment, hands it
// on to another server, has it pass an intermediary, and refuses what it must.
// Method: the command itself in a process of its own, killed and started again.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <random>
#include <thread>

#include "checkpoint/server/service.h"
#include "checkpoint/server/tests/server_process.h"
#include "checkpoint/store/image_store.h"
#include "checkpoint/store/tests/store_test_directory.h"
#include "checkpoint/transport/remote_store.h"
#include "tests/harness/kill_one.h"

namespace auxin::checkpoint {
namespace {

using test::message_to;
using test::ServerProcess;
using test::view;

std::unique_ptr<RemoteStore> open_store(const std::string& address, const std::string& name) {
  RemoteOptions options;
  options.piece_bytes = 512;
  auto store = RemoteStore::open(address, name, options);
  EXPECT_TRUE(store) << store.outcome().sentence;
  return std::move(*store);
}

uint64_t sequence_at(const std::string& address, const std::string& name) {
  Image image;
  const Outcome outcome = open_store(address, name)->read(&image);
  if (outcome.status == AUXIN_CHECKPOINT_EMPTY) return 0;
  EXPECT_TRUE(outcome) << outcome.sentence;
  EXPECT_TRUE(test::is_consistent(image));
  return image.position().sequence;
}

// Waits, with a limit, until the other server has it too.
uint64_t await_sequence(const std::string& address, const std::string& name, uint64_t sequence) {
  uint64_t there = 0;
  for (int waited_ms = 0; waited_ms < 20'000; waited_ms += 10) {
    there = sequence_at(address, name);
    if (there >= sequence) break;
    poll(nullptr, 0, 10);
  }
  return there;
}

TEST(ServerCommand, KilledAtAnyMomentItHasWhatItSaidItKept) {
  const char* text = std::getenv("AUXIN_ROUNDS");
  const int rounds = text != nullptr ? std::atoi(text) : 12;
  std::mt19937_64 random(17);
  test::StoreDirectory directory;
  ServerProcess server(directory.path("states"), {});
  auto store = open_store(server.address(), "bank");
  std::atomic<bool> ends{false};
  std::atomic<uint64_t> kept{0};
  std::thread sender([&] {
    for (uint64_t i = 1; !ends; ++i) {
      const Outcome outcome = store->put(view(message_to(i, i % 16 == 1 ? 0 : i - 1)));
      EXPECT_TRUE(outcome) << outcome.sentence;
      if (!outcome) return;
      kept = i;
    }
  });
  for (int round = 0; round < rounds; ++round) {
    const uint64_t before = kept;
    for (int waited_ms = 0; kept < before + 3 && waited_ms < 20'000; ++waited_ms) {
      poll(nullptr, 0, 1);
    }
    usleep(static_cast<useconds_t>(random() % 3000));
    const uint64_t said = kept;
    server.kill_and_wait();
    server.start();
    const uint64_t there = sequence_at(server.address(), "bank");
    ASSERT_GE(there, said) << "round " << round;
  }
  ends = true;
  sender.join();
  EXPECT_EQ(sequence_at(server.address(), "bank"), kept);
}

TEST(ServerCommand, ASenderThatIsKilledAtAnyMomentLeavesAWholeImage) {
  test::StoreDirectory directory;
  ServerProcess server(directory.path("states"), {});
  std::mt19937_64 random(19);
  uint64_t last = 0;
  for (int round = 0; round < 25; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      RemoteOptions options;
      options.piece_bytes = 256;
      auto store = RemoteStore::open(server.address(), "bank", options);
      for (uint64_t i = last + 1; store; ++i) {
        if (!(*store)->put(view(message_to(i, i == last + 1 ? 0 : i - 1)))) _exit(1);
      }
      _exit(1);
    }
    usleep(static_cast<useconds_t>(random() % 15'000));
    kill_one(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const uint64_t there = sequence_at(server.address(), "bank");
    ASSERT_GE(there, last);
    last = there;
  }
  EXPECT_GT(last, 25u);
}

TEST(ServerCommand, HandsOnWhatItKeepsAlsoToOneThatComesLateOrAgain) {
  test::StoreDirectory directory;
  const std::string second_address = "unix:" + directory.path("second") + "/.socket";
  ServerProcess first(directory.path("first"), {"--forward", second_address});
  auto store = open_store(first.address(), "bank");
  ASSERT_TRUE(store->put(view(message_to(1, 0))));
  ASSERT_TRUE(store->put(view(message_to(2, 1))));
  ServerProcess second(directory.path("second"), {});
  EXPECT_EQ(await_sequence(second.address(), "bank", 2), 2u);
  ASSERT_TRUE(store->put(view(message_to(3, 2))));
  EXPECT_EQ(await_sequence(second.address(), "bank", 3), 3u);
  second.kill_and_wait();
  ASSERT_TRUE(store->put(view(message_to(4, 3))));
  ASSERT_TRUE(store->put(view(message_to(9, 0))));
  second.start();
  EXPECT_EQ(await_sequence(second.address(), "bank", 9), 9u);
}

// Three replicas save the same state, each under a name of its own; one of them is wrong. The
// intermediary passes what two of the three agree on.
TEST(ServerCommand, AnIntermediaryThatVotesPassesWhatMostCopiesSay) {
  test::StoreDirectory directory;
  struct Votes {
    std::mutex mutex;
    std::condition_variable changed;
    std::map<uint64_t, std::map<uint64_t, int>> of;  // sequence: digest: how many
    int came = 0;
  } votes;
  constexpr int kCopies = 3;
  MemoryStates states(1 << 20, 8);
  ServiceOptions how;
  how.address = "unix:" + directory.path("voter");
  how.through = [&](const std::string&, const MessageView& message) {
    std::unique_lock lock(votes.mutex);
    std::map<uint64_t, int>& sequence = votes.of[message.header().sequence];
    ++sequence[message.digest()];
    ++votes.came;
    votes.changed.notify_all();
    votes.changed.wait_for(lock, std::chrono::seconds(5),
                           [&] { return votes.came % kCopies == 0; });
    return sequence[message.digest()] > kCopies / 2
               ? Outcome::ok()
               : failure(AUXIN_CHECKPOINT_DAMAGED, "most copies say something else");
  };
  const auto voter = Service::start(how, &states);
  ASSERT_TRUE(voter) << voter.outcome().sentence;
  ServerProcess server(directory.path("states"), {"--through", how.address});
  Outcome outcomes[kCopies];
  std::vector<std::thread> copies;
  for (int i = 0; i < kCopies; ++i) {
    copies.emplace_back([&, i] {
      auto store = open_store(server.address(), "copy" + std::to_string(i));
      ByteBuffer message = message_to(1, 0);
      if (i == 1) {  // a copy that went astray: a sound message of another state of affairs
        MessageWriter writer({1, 0, 1, 0, 1}, MessageOptions{});
        writer.begin_region(1, 4, 0, kWhole);
        writer.add_contents(0, "oops", 4);
        message = std::move(*writer.finish());
      }
      outcomes[i] = store->put(view(message));
    });
  }
  for (std::thread& copy : copies) copy.join();
  EXPECT_TRUE(outcomes[0]) << outcomes[0].sentence;
  EXPECT_EQ(outcomes[1].status, AUXIN_CHECKPOINT_DAMAGED);
  EXPECT_TRUE(outcomes[2]) << outcomes[2].sentence;
  EXPECT_EQ(sequence_at(server.address(), "copy0"), 1u);
  EXPECT_EQ(sequence_at(server.address(), "copy1"), 0u);
  EXPECT_EQ(sequence_at(server.address(), "copy2"), 1u);
}

TEST(ServerCommand, WithoutItsIntermediaryNothingIsKept) {
  test::StoreDirectory directory;
  ServerProcess server(directory.path("states"), {"--through", "unix:" + directory.path("none")});
  auto store = open_store(server.address(), "bank");
  EXPECT_EQ(store->put(view(message_to(1, 0))).status, AUXIN_CHECKPOINT_INPUT_OUTPUT);
  EXPECT_EQ(sequence_at(server.address(), "bank"), 0u);
}

TEST(ServerCommand, AFullDiskIsToldAndTheImageStays) {
  test::StoreDirectory directory;
  const pid_t child = fork();
  if (child == 0) {
    // A mount of its own, which ends with the child.
    const std::string disk = directory.path("disk");
    std::filesystem::create_directory(disk);
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) ||
        mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=64k,mode=0700") != 0) {
      _exit(77);
    }
    ServerProcess server(disk + "/states", {});
    auto store = open_store(server.address(), "bank");
    uint64_t sequence = 0;
    Outcome outcome;
    while (outcome && sequence < 100) {
      outcome = store->put(view(message_to(sequence + 1, sequence)));
      if (outcome) ++sequence;
    }
    if (outcome.status != AUXIN_CHECKPOINT_NO_SPACE || sequence < 5) _exit(2);
    if (sequence_at(server.address(), "bank") != sequence) _exit(3);
    server.kill_and_wait();
    server.start();
    if (sequence_at(server.address(), "bank") != sequence) _exit(4);
    server.kill_and_wait();
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
    GTEST_SKIP() << "mounts of one's own are not permitted";
  }
  EXPECT_EQ(status, 0);
}

TEST(ServerCommand, SaysWhatItKeepsAndEndsAtASignal) {
  test::StoreDirectory directory;
  ServerProcess server(directory.path("states"), {"--listen", "tcp:127.0.0.1:0", "--no-sync"});
  ASSERT_TRUE(open_store(server.address(), "bank")->put(view(message_to(7, 0))));
  const std::string listed =
      test::output_of({"checkpoint-server", "list", server.address(), "--json"});
  EXPECT_NE(listed.find("\"name\": \"bank\""), std::string::npos) << listed;
  EXPECT_NE(listed.find("\"sequence\": 7"), std::string::npos) << listed;
  EXPECT_EQ(server.end_with(SIGTERM), 0);
}

TEST(ServerCommand, TestsTheServiceOnThisMachine) {
  const std::string said = test::output_of({"checkpoint-server", "self-test", "--json"});
  EXPECT_NE(said.find("\"part\": \"checksums\""), std::string::npos) << said;
  EXPECT_NE(said.find("\"part\": \"tracking, full\""), std::string::npos) << said;
  EXPECT_EQ(said.find("\"wrong\""), std::string::npos) << said;
}

TEST(ServerCommand, RefusesWhatOthersCouldReachWithoutASecret) {
  test::StoreDirectory directory;
  const std::string said = test::output_of({"checkpoint-server", "serve", directory.path("states"),
                                            "--listen", "tcp:0.0.0.0:0"});
  EXPECT_NE(said.find("needs a secret"), std::string::npos) << said;
}

}  // namespace
}  // namespace auxin::checkpoint
