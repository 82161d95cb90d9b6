// SPDX-License-Identifier: Apache-2.0
//
// Goal: messages between the ports of two memories arrive once and in order, whatever is killed on
// either side; ports travel with them and lead back.
// Method: two memory files, message servers between them over Unix and TCP sockets; then clients,
// servers and message servers are killed at random moments.
//
// AUXIN_ROUNDS: kills of the random part; AUXIN_SEED repeats one.
#include "auxin/stm_message_server.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>

#include <chrono>
#include <random>
#include <thread>

#include "stmemu/entities/call_workload.h"
#include "stmemu/entities/stream.h"
#include "stmemu/interface/test_memory_file.h"
#include "tests/harness/kill_one.h"

namespace auxin::stm {
namespace {

uint64_t number_of(const char* variable, uint64_t otherwise) {
  const char* text = getenv(variable);
  return text != nullptr ? strtoull(text, nullptr, 0) : otherwise;
}

// A port that nobody listens at just now.
std::string free_tcp_address() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  close(fd);
  return "tcp:127.0.0.1:" + std::to_string(ntohs(address.sin_port));
}

class TwoNodes : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    for (int side = 0; side < 2; ++side) {
      address_[side] = GetParam() ? free_tcp_address() : "unix:" + file_[side].path() + ".socket";
      memory_[side] = Memory::open(file_[side].path());
      atomically(memory_[side], [](Transaction&) { MessageLink::create("link"); });
    }
  }
  void TearDown() override {
    for (int side = 0; side < 2; ++side) unlink((file_[side].path() + ".socket").c_str());
  }
  std::unique_ptr<MessageServer> start(int side) { return start(side, memory_[side]); }
  std::unique_ptr<MessageServer> start(int side, const Memory& memory) {
    MessageServerAddresses addresses;
    addresses.listens_at = address_[side];
    addresses.peers = {address_[1 - side] + "0", address_[1 - side]};  // the first is nobody's
    return std::make_unique<MessageServer>(memory, "link", addresses);
  }
  LinkReport report(int side) {
    return atomically(memory_[side], [](Transaction&) { return MessageLink::report("link"); });
  }

  MemoryFile file_[2] = {MemoryFile(Mode::kChecked, 4 << 20), MemoryFile(Mode::kChecked, 4 << 20)};
  std::string address_[2];
  Memory memory_[2];
};

TEST_P(TwoNodes, MessagesOfEverySizeArriveInOrder) {
  const StablePort real =
      atomically(memory_[1], [](Transaction&) { return StablePort::create("port", {5}); });
  const StablePort proxy =
      atomically(memory_[0], [](Transaction&) { return MessageLink::make_proxy("link", "port"); });
  const auto a = start(0), b = start(1);
  std::vector<uint64_t> sizes = {0, 1, 7, 8, 4096, 100'000, 300'000};
  for (uint64_t size = 0; size < 100; ++size) sizes.push_back(size);
  std::thread sender([&] {
    for (const uint64_t size : sizes) {
      const std::vector<char> bytes(size, static_cast<char>(size));
      atomically(memory_[0], [&](Transaction&) { proxy.send_bytes(bytes.data(), size); });
    }
  });
  for (const uint64_t size : sizes) {
    std::vector<char> bytes;
    atomically(memory_[1], [&](Transaction&) {
      ASSERT_TRUE(real.receive_bytes(&bytes, nullptr, 10'000'000)) << b->last_failure();
    });
    EXPECT_EQ(bytes, std::vector<char>(size, static_cast<char>(size)));
  }
  sender.join();
  for (int i = 0; i < 1000 && report(0).sent < sizes.size(); ++i) usleep(1000);
  EXPECT_EQ(report(0).sent, sizes.size());
  EXPECT_EQ(report(0).waiting, 0u);
  EXPECT_EQ(report(1).received, sizes.size());
}

TEST_P(TwoNodes, PortsTravelAndComeHome) {
  const StablePort real =
      atomically(memory_[1], [](Transaction&) { return StablePort::create("echo"); });
  StablePort proxy, home;
  atomically(memory_[0], [&](Transaction&) {
    proxy = MessageLink::make_proxy("link", "echo");
    home = StablePort::create();
  });
  const auto a = start(0), b = start(1);
  atomically(memory_[0], [&](Transaction&) { proxy.send(home); });
  StablePort arrived;
  atomically(memory_[1], [&](Transaction&) {
    ASSERT_TRUE(real.receive(arrived, 10'000'000));
    arrived.send(arrived);  // to the other side, where it is itself again
  });
  StablePort back;
  atomically(memory_[0], [&](Transaction&) { ASSERT_TRUE(home.receive(back, 10'000'000)); });
  EXPECT_TRUE(back == home);
  // A receive right stays where it is; nobody receives from a proxy.
  Transaction t(memory_[0]);
  t.Begin();
  EXPECT_EQ(status_of([&] { proxy.send(home, Right::kReceive); }), Status::kNoRight);
  EXPECT_EQ(status_of([&] { proxy.receive(back, 0); }), Status::kNoRight);
  t.Commit();
}

TEST_P(TwoNodes, WhatHasNoPortThereIsDropped) {
  const StablePort nowhere = atomically(
      memory_[0], [](Transaction&) { return MessageLink::make_proxy("link", "nowhere"); });
  const auto a = start(0), b = start(1);
  for (uint64_t i = 0; i < 3; ++i) atomically(memory_[0], [&](Transaction&) { nowhere.send(i); });
  for (int i = 0; i < 5000 && report(1).received < 3; ++i) usleep(1000);
  EXPECT_EQ(report(1).received, 3u);
  EXPECT_EQ(report(1).dropped, 3u);
}

TEST_P(TwoNodes, AStrangerIsRefused) {
  const auto b = start(1);
  // Not a frame, a frame that is too long, and silence.
  for (const std::string& text : {std::string(200, 'x'), std::string("short")}) {
    Result<Socket> stream = Socket::connect_to(address_[1]);
    ASSERT_TRUE(stream);
    EXPECT_EQ(::send(stream.value().fd(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  const auto a = start(0);
  for (int i = 0; i < 5000 && report(0).sent == 0; ++i) {
    if (i == 0) {
      atomically(memory_[1], [](Transaction&) { StablePort::create("port"); });
      atomically(memory_[0], [](Transaction&) {
        MessageLink::make_proxy("link", "port").send(1);
      });
    }
    usleep(1000);
  }
  EXPECT_EQ(report(0).sent, 1u) << "others are served all the same";
}

TEST_P(TwoNodes, KillsOfAnyProgramLoseNoCallAndRepeatNone) {
  const uint64_t seed = number_of("AUXIN_SEED", std::random_device{}());
  const uint64_t rounds = number_of("AUXIN_ROUNDS", 150);
  SCOPED_TRACE("AUXIN_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  calls::set_up_clients(memory_[0]);
  calls::set_up_server(memory_[1]);
  atomically(memory_[0], [](Transaction&) { MessageLink::make_proxy("link", "server"); });
  const auto settle = [&] {
    const auto a = start(0), b = start(1);
    for (uint64_t client = 0; client < calls::kClients; ++client) {
      for (int turn = 0; turn < 4000 && !calls::await(memory_[0], client, 0); ++turn) {
        calls::serve(memory_[1], 500);
        if (atomically(memory_[0], [&](Transaction& t) {
              return t.open<const calls::Progress>(
                          t.root<calls::Progress>(calls::name_of_client(client)))
                         ->waiting == 0;
            })) {
          break;
        }
      }
    }
    for (int i = 0; i < 2000 && report(0).waiting + report(1).waiting > 0; ++i) usleep(1000);
    return calls::check(memory_[1], memory_[0]);
  };
  const auto count_both = [&] {
    const calls::Count a = calls::count(memory_[0]), b = calls::count(memory_[1]);
    return std::vector<uint64_t>{a.objects, a.own_objects, b.objects, b.own_objects};
  };
  for (uint64_t client = 0; client < calls::kClients; ++client) calls::request(memory_[0], client);
  settle();
  const std::vector<uint64_t> before = count_both();
  for (Memory& memory : memory_) memory.close();

  // Two message servers, two servers of calls, the clients.
  constexpr size_t kPrograms = 4 + calls::kClients;
  pid_t pids[kPrograms] = {};
  const auto run = [&](size_t number) {
    pids[number] = fork();
    if (pids[number] != 0) return;
    const int side = number < 2 ? static_cast<int>(number) : number < 4 ? 1 : 0;
    try {
      Memory mine = Memory::open(file_[side].path());
      std::unique_ptr<MessageServer> server;
      while (number < 2 && server == nullptr) {
        try {
          server = start(side, mine);
        } catch (const Failure&) {
          usleep(1000);  // the address is the dead one's for a moment
        }
      }
      for (;;) {
        if (number < 2) {
          pause();
        } else if (number < 4) {
          calls::serve(mine, 1'000'000);
        } else {
          calls::request(mine, number - 4);
          calls::await(mine, number - 4, 1'000'000);
        }
      }
    } catch (const Failure& failure) {
      fprintf(stderr, "program %zu: %s\n", number, failure.what());
    }
    _exit(1);
  };
  const auto end = [&](size_t number) {
    int status = 0;
    ASSERT_GT(pids[number], 0) << "fork failed";
    kill_one(pids[number], SIGKILL);
    EXPECT_EQ(waitpid(pids[number], &status, 0), pids[number]);
    EXPECT_TRUE(WIFSIGNALED(status)) << "program " << number << " ended by itself";
  };
  for (size_t number = 0; number < kPrograms; ++number) run(number);
  for (uint64_t killed = 0; killed < rounds && !HasFailure(); ++killed) {
    usleep(static_cast<useconds_t>(random() % 20'000));
    const size_t number = random() % 2 == 0 ? random() % 2 : random() % kPrograms;
    end(number);
    run(number);
  }
  for (size_t number = 0; number < kPrograms; ++number) end(number);
  for (int side = 0; side < 2; ++side) memory_[side] = Memory::open(file_[side].path());
  const uint64_t served = settle();
  EXPECT_EQ(count_both(), before);
  EXPECT_EQ(report(0).dropped + report(1).dropped, 0u);
  EXPECT_GT(served, rounds);
  printf("%llu calls, %llu kills, AUXIN_SEED=%llu\n", static_cast<unsigned long long>(served),
         static_cast<unsigned long long>(rounds), static_cast<unsigned long long>(seed));
}

INSTANTIATE_TEST_SUITE_P(Over, TwoNodes, testing::Bool(), [](const auto& how) {
  return how.param ? std::string("Tcp") : std::string("Unix");
});

}  // namespace
}  // namespace auxin::stm
