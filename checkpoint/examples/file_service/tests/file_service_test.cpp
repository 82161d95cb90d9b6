// SPDX-License-Identifier: Apache-2.0
//
// Goal: whenever the server dies, committed transactions are there as a whole and once, of others
// there is no trace; a client goes on.
// Method: a history of transfers between two files, each with an entry in a third one, beside
// transactions that abort or never end. The server is killed at each of its steps, and at random.
#include "../file_client.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <atomic>
#include <memory>
#include <thread>

#include "campaign.h"
#include "keeper.h"
#include "program.h"
#include "tests/harness/kill_one.h"

namespace auxin::checkpoint::test {
namespace {

using file_service::Disconnected;
using file_service::FileClient;
using file_service::Operation;
using file_service::Refused;
using file_service::Reply;
using file_service::Request;
using file_service::Status;

constexpr int kMoney = 100'000;

class FileService : public testing::Test {
 protected:
  std::vector<std::string> server() {
    return {AUXIN_EXAMPLE_FILE_SERVER, directory_.path("store"), socket()};
  }
  std::string socket() { return directory_.path("socket"); }

  // The transfer of 1, and its entry; `entry` is one letter.
  static void transfer(FileClient& files, const std::string& log, char entry) {
    const int from = number_of(files.read("from"), kMoney), to = number_of(files.read("to"), 0);
    files.write("from", 0, text_of(from - 1));
    files.write("to", 0, text_of(to + 1));
    files.write(log, files.read(log).size(), std::string(1, entry));
  }
  static int number_of(const std::string& text, int if_empty) {
    return text.empty() ? if_empty : std::stoi(text);
  }
  static std::string text_of(int number) {
    std::string digits = std::to_string(number);
    return std::string(8 - digits.size(), '0') + digits;
  }
  // Each log has the letters of its transfers, in order; the money is where it should be.
  static void expect(FileClient& files, const std::vector<std::string>& logs) {
    std::string from, to, trash, ghost;
    std::vector<std::string> read;
    size_t transfers = 0;
    files.run([&](FileClient& now) {
      from = now.read("from");
      to = now.read("to");
      trash = now.read("trash");
      ghost = now.read("ghost");
      read.clear();
      for (size_t i = 0; i < logs.size(); ++i) read.push_back(now.read("log" + std::to_string(i)));
    });
    EXPECT_EQ(read, logs);
    for (const std::string& log : logs) transfers += log.size();
    EXPECT_EQ(number_of(to, 0), static_cast<int>(transfers));
    EXPECT_EQ(number_of(from, kMoney), kMoney - static_cast<int>(transfers));
    EXPECT_EQ(trash + ghost, "") << "of what was not committed";
  }

  Directory directory_;
};

TEST_F(FileService, KilledAtAnyStepItHasWhatWasCommittedAndNothingElse) {
  Stride stride(12);
  uint64_t steps = 0;
  for (uint64_t step = stride.next();; step += stride.next(), ++steps) {
    SCOPED_TRACE("step " + std::to_string(step));
    Keeper keeper(server(), step);
    FileClient first(socket()), second(socket()), ghost(socket());
    std::vector<std::string> logs(2);
    bool ghost_is_open = false;
    const auto write_ghost = [&] {
      try {
        if (!ghost_is_open) ghost.begin();
        ghost_is_open = true;
        ghost.write("ghost", 0, "never committed");
      } catch (const Disconnected&) {
        ghost_is_open = false;
      }
    };
    for (char entry = 'a'; entry < 'e'; ++entry) {
      first.run([&](FileClient& files) { transfer(files, "log0", entry); });
      logs[0] += entry;
      write_ghost();
      second.run([&](FileClient& files) { transfer(files, "log1", entry); });
      logs[1] += entry;
      expect(first, logs);
      try {
        second.begin();
        second.write("trash", 0, "aborted");
        second.abort();
      } catch (const Disconnected&) {
      }
    }
    expect(second, logs);
    ASSERT_FALSE(HasFailure());
    const bool killed = keeper.restarts() > 0;
    std::filesystem::remove_all(directory_.path("store"));
    if (!killed) break;
  }
  EXPECT_GT(steps, 15u);
}

TEST_F(FileService, RandomKillsUnderSeveralClientsLoseAndDoubleNothing) {
  std::mt19937_64 random(seed());
  const int transfers = is_long() ? 4000 : 60;
  constexpr int kClients = 3;
  Keeper keeper(server());
  std::atomic<int> running{kClients};
  std::vector<std::string> logs(kClients);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kClients; ++i) {
    threads.emplace_back([&, i] {
      FileClient files(socket());
      for (int turn = 0; turn < transfers; ++turn) {
        const char entry = static_cast<char>('a' + turn % 26);
        files.run([&](FileClient& now) { transfer(now, "log" + std::to_string(i), entry); });
        logs[i] += entry;
      }
      --running;
    });
  }
  while (running > 0) {
    usleep(static_cast<useconds_t>(random() % 30'000));
    kill_one(keeper.pid(), SIGKILL);
    for (const int before = keeper.restarts(); keeper.restarts() == before;) usleep(100);
  }
  for (std::thread& thread : threads) thread.join();
  FileClient files(socket());
  expect(files, logs);
  EXPECT_GT(keeper.restarts(), 2);
}

TEST_F(FileService, OfTwoTransactionsOnOneFileTheSecondOneToCommitIsRefused) {
  Program service(server());
  FileClient first(socket()), second(socket());
  first.begin();
  second.begin();
  EXPECT_EQ(first.read("file"), "");
  EXPECT_EQ(second.read("file"), "");
  first.write("file", 0, "first");
  second.write("file", 0, "second");
  first.commit();
  try {
    second.commit();
    FAIL() << "it had read what was changed";
  } catch (const Refused& refused) {
    EXPECT_EQ(refused.status(), Status::kConflict);
  }
  first.begin();
  EXPECT_EQ(first.read("file"), "first");
}

TEST_F(FileService, ACommitThatWasSaidNotToBeDoneIsNotDoneLater) {
  Program service(server());
  FileClient looking(socket());
  looking.begin();  // the server is there
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket().copy(address.sun_path, sizeof(address.sun_path) - 1);
  const auto connected = [&] {
    const int made = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return made;
  };
  const auto call = [](int connection, Operation operation) {
    Request request{};
    request.operation = operation;
    request.client = 99;
    request.number = 1;
    request.length = 1;
    request.name[0] = 'f';
    Reply reply{};
    EXPECT_EQ(send(connection, &request, sizeof(request), MSG_NOSIGNAL),
              static_cast<ssize_t>(sizeof(request)));
    EXPECT_EQ(recv(connection, &reply, sizeof(reply), 0), static_cast<ssize_t>(sizeof(reply)));
    return reply.status;
  };
  const int before = connected(), after = connected();
  EXPECT_EQ(call(before, Operation::kBegin), Status::kOk);
  EXPECT_EQ(call(before, Operation::kWrite), Status::kOk);
  EXPECT_EQ(call(after, Operation::kOutcome), Status::kNotCommitted);
  EXPECT_EQ(call(before, Operation::kCommit), Status::kNoTransaction);
  close(before);
  close(after);
}

TEST_F(FileService, WhatTheStoreCannotKeepIsRefusedAndLeavesNoTrace) {
  Program service(server());
  FileClient files(socket());
  files.run([](FileClient& now) { now.write("kept", 0, "before"); });
  const rlimit full{1000, RLIM_INFINITY}, free{RLIM_INFINITY, RLIM_INFINITY};
  ASSERT_EQ(prlimit(service.pid(), RLIMIT_FSIZE, &full, nullptr), 0);
  try {
    files.run([](FileClient& now) {
      now.write("kept", 0, "refused");
      now.write("refused", 0, "refused");
    });
    FAIL() << "there was no room";
  } catch (const Refused& refused) {
    EXPECT_EQ(refused.status(), Status::kFull);
  }
  ASSERT_EQ(prlimit(service.pid(), RLIMIT_FSIZE, &free, nullptr), 0);
  const auto look = [&] {
    FileClient other(socket());
    other.begin();
    EXPECT_EQ(other.read("kept"), "before");
    EXPECT_EQ(other.read("refused"), "");
  };
  look();
  files.run([](FileClient& now) { now.write("later", 0, "later"); });
  look();
  service.kill();
  service = Program(server());
  look();
  files.run([](FileClient& now) { EXPECT_EQ(now.read("later"), "later"); });
}

TEST_F(FileService, FilesAreMadeCutAndRemovedUpToTheirNumber) {
  Program service(server());
  FileClient files(socket());
  const std::string large(file_service::kFileBytes, 'x');
  files.run([&](FileClient& now) {
    for (int i = 0; i < 64; ++i) now.write("file" + std::to_string(i), 0, large);
    EXPECT_THROW(now.write("file3", file_service::kFileBytes, "y"), Refused);
  });
  EXPECT_THROW(files.run([](FileClient& now) { now.write("one more", 0, "x"); }), Refused);
  files.run([](FileClient& now) {
    now.truncate("file7", 0);
    now.truncate("file8", 5);
  });
  files.run([](FileClient& now) { now.write("one more", 0, "x"); });
  service.kill();
  service = Program(server());
  files.run([&](FileClient& now) {
    EXPECT_EQ(now.read("file7"), "");
    EXPECT_EQ(now.read("file8"), "xxxxx");
    EXPECT_EQ(now.read("file9"), large);
    EXPECT_EQ(now.read("one more"), "x");
  });
}

TEST_F(FileService, TheShellDoesOneTransaction) {
  Program service(server());
  const std::string output = directory_.path("output");
  const auto shell = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {AUXIN_EXAMPLE_FILE_SHELL, socket()});
    return WEXITSTATUS(Program(words, output).wait());
  };
  EXPECT_EQ(shell({"put", "greeting", "good", "append", "greeting", " day"}), 0);
  EXPECT_EQ(shell({"put", "other", "x", "get", "greeting"}), 0);
  EXPECT_EQ(shell({"remove", "greeting", "put", std::string(50, 'n'), "too long a name"}), 1);
  EXPECT_EQ(shell({"get", "greeting"}), 0);
  EXPECT_EQ(contents(output), "good day\ngood day\n");
  EXPECT_EQ(shell({"put", "greeting"}), 2);
}

}  // namespace
}  // namespace auxin::checkpoint::test
