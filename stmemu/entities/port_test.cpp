// SPDX-License-Identifier: Apache-2.0
//
// Goal: sends and receives happen at commit, in order, once; a sender and the receiver do not
// conflict; limits and names hold; nothing is left behind.
// Method: threads and children against a memory file; kills are port_kill_test.cpp's.
#include "auxin/stm_entities.h"

#include <signal.h>

#include <thread>

#include "stmemu/interface/test_memory_file.h"

namespace auxin::stm {
namespace {

struct Numbered {
  uint64_t number;
  StablePort reply;
  template <typename Visit>
  void each_port(Visit visit) { visit(reply); }
};

class Port : public testing::TestWithParam<Mode> {
 protected:
  StablePort make(const std::string& name = {}, const NewPort& how = {}) {
    return atomically(memory_, [&](Transaction&) { return StablePort::create(name, how); });
  }
  void send(StablePort port, uint64_t number) {
    atomically(memory_, [&](Transaction&) { port.send(number); });
  }
  // Waits for room in the queue.
  void send_patiently(StablePort port, uint64_t number) {
    while (status_of([&] { send(port, number); }) == Status::kFull) usleep(100);
  }
  // 0: none came.
  uint64_t receive(StablePort port, uint64_t wait_us = 0) {
    return atomically(memory_, [&](Transaction&) {
      uint64_t number = 0;
      return port.receive(number, wait_us) ? number : 0;
    });
  }

  MemoryFile file_{GetParam(), 4 << 20};
  Memory memory_ = Memory::open(file_.path());
};

TEST_P(Port, MessagesArriveInTheOrderOfTheirCommits) {
  const StablePort port = make();
  EXPECT_EQ(receive(port), 0u);
  for (uint64_t number = 1; number <= 50; ++number) send(port, number);
  for (uint64_t number = 1; number <= 50; ++number) EXPECT_EQ(receive(port), number);
  EXPECT_EQ(receive(port), 0u);
  const PortReport report = port.report();
  EXPECT_EQ(report.sent, 50u);
  EXPECT_EQ(report.queued(), 0u);
}

// Paper 001, figure 3.
TEST_P(Port, AMessageIsThereWhenItsTransactionCommits) {
  const StablePort p1 = make();
  Transaction T1(memory_);
  T1.Begin();
  p1.send(uint64_t{7});
  std::thread([&] { EXPECT_EQ(receive(p1), 0u); }).join();
  T1.Commit();
  std::thread([&] { EXPECT_EQ(receive(p1), 7u); }).join();
  T1.Begin();
  p1.send(uint64_t{8});
  T1.Abort();
  EXPECT_EQ(receive(p1), 0u);
}

TEST_P(Port, AnAbortedReceivePutsTheMessageBackInOrder) {
  const StablePort port = make();
  for (uint64_t number = 1; number <= 3; ++number) send(port, number);
  Transaction T2(memory_);
  T2.Begin();
  uint64_t number = 0;
  port.receive(number);
  EXPECT_EQ(number, 1u);
  port.receive(number);
  EXPECT_EQ(number, 2u);
  std::thread([&] { EXPECT_EQ(receive(port), 0u) << "one receiver at a time"; }).join();
  T2.Abort();
  for (uint64_t expected = 1; expected <= 3; ++expected) EXPECT_EQ(receive(port), expected);
}

TEST_P(Port, WhatATransactionSendsItDoesNotReceive) {
  const StablePort port = make();
  send(port, 1);
  Transaction t(memory_);
  t.Begin();
  port.send(uint64_t{2});
  uint64_t number = 0;
  EXPECT_TRUE(port.receive(number, 0));
  EXPECT_EQ(number, 1u);
  EXPECT_FALSE(port.receive(number, 1000)) << "its own message is not there before commit";
  port.send(uint64_t{3});
  const StablePort young = StablePort::create();
  young.send(uint64_t{9});
  EXPECT_FALSE(young.receive(number, 1000));
  t.Commit();
  EXPECT_EQ(receive(port), 2u);
  EXPECT_EQ(receive(port), 3u);
  EXPECT_EQ(receive(young), 9u);
}

TEST_P(Port, ASenderAndTheReceiverDoNotConflict) {
  const StablePort port = make();
  send(port, 1);
  Transaction receiver(memory_);
  receiver.Begin();
  uint64_t number = 0;
  port.receive(number);
  // The queue's only message is taken, not yet committed: others may send all the same.
  std::thread([&] {
    Transaction sender(memory_);
    for (uint64_t next = 2; next < 10; ++next) {
      sender.Begin();
      port.send(next);
      sender.Commit();
    }
  }).join();
  receiver.Commit();
  for (uint64_t expected = 2; expected < 10; ++expected) EXPECT_EQ(receive(port), expected);
}

TEST_P(Port, AReceiverWaitsAndHoldsNothingMeanwhile) {
  const StablePort port = make();
  std::thread receiver([&] { EXPECT_EQ(receive(port, 10'000'000), 5u); });
  usleep(30'000);
  send(port, 5);
  receiver.join();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(receive(port, 30'000), 0u);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(30));
}

TEST_P(Port, MessagesOfEverySize) {
  const StablePort port = make();
  for (const uint64_t size : {0, 1, 7, 8, 4096, 8192, 8193, 100'000, 500'000}) {
    std::vector<char> sent(size), received(3);
    for (uint64_t at = 0; at < size; ++at) sent[at] = static_cast<char>(at * 31 + size);
    atomically(memory_, [&](Transaction&) { port.send_bytes(sent.data(), size); });
    atomically(memory_, [&](Transaction&) {
      EXPECT_TRUE(port.receive_bytes(&received, nullptr, 0));
    });
    EXPECT_EQ(sent, received) << size;
  }
}

TEST_P(Port, AMessageOfAnotherSizeIsRefusedAndMayBeDropped) {
  const StablePort port = make();
  atomically(memory_, [&](Transaction&) { port.send(uint32_t{1}); });
  EXPECT_EQ(status_of([&] { receive(port); }), Status::kRefused);
  EXPECT_EQ(port.report().queued(), 1u) << "aborted: it was put back";
  Transaction t(memory_);
  t.Begin();
  uint64_t number;
  EXPECT_EQ(status_of([&] { port.receive(number, 0); }), Status::kRefused);
  t.Commit();
  EXPECT_EQ(port.report().queued(), 0u);
}

TEST_P(Port, AQueueHasALimit) {
  const StablePort port = make("short", {3});
  for (uint64_t number = 1; number <= 3; ++number) send(port, number);
  EXPECT_EQ(status_of([&] { send(port, 4); }), Status::kFull);
  Transaction t(memory_);
  t.Begin();
  EXPECT_EQ(status_of([&] { port.send(uint64_t{4}); }), Status::kFull);
  EXPECT_TRUE(t.active()) << "a full queue is no violation";
  uint64_t number = 0;
  port.receive(number);
  port.send(uint64_t{4});
  t.Commit();
  for (uint64_t expected = 2; expected <= 4; ++expected) EXPECT_EQ(receive(port), expected);
}

TEST_P(Port, AFullMemoryLeavesTheQueueWhole) {
  const StablePort port = make({}, {100'000});
  uint64_t sent = 0;
  Status last = Status::kOk;
  const std::vector<char> bytes(50'000);
  while (last == Status::kOk) {
    last = status_of([&] {
      atomically(memory_, [&](Transaction&) { port.send_bytes(bytes.data(), bytes.size()); });
    });
    sent += last == Status::kOk;
  }
  EXPECT_EQ(last, Status::kFull);
  EXPECT_GT(sent, 20u);
  std::vector<char> got;
  for (; sent > 0; --sent) {
    atomically(memory_, [&](Transaction&) { EXPECT_TRUE(port.receive_bytes(&got, nullptr, 0)); });
  }
}

TEST_P(Port, NamesLeadToPorts) {
  EXPECT_FALSE(StablePort::find("server"));
  const StablePort port = make("server");
  EXPECT_TRUE(StablePort::find("server") == port);
  EXPECT_EQ(status_of([&] { make("server"); }), Status::kBusy);
  EXPECT_EQ(status_of([&] { make(std::string(48, 'x')); }), Status::kTooLarge);
  atomically(memory_, [&](Transaction& t) {
    EXPECT_TRUE(StablePort::find("server") == port);
    const StablePort other = StablePort::create("other");
    EXPECT_TRUE(StablePort::find("other") == other) << "as this transaction sees it";
    EXPECT_EQ(t.root<int>("server").raw(), 0u) << "roots have names of their own";
  });
  atomically(memory_, [&](Transaction&) { port.destroy(); });
  EXPECT_FALSE(StablePort::find("server"));
  make("server");
}

TEST_P(Port, APortThatIsNoMoreIsAnErrorThatDoesNotAbort) {
  const StablePort port = make();
  send(port, 1);
  atomically(memory_, [&](Transaction&) { port.destroy(); });
  Transaction t(memory_);
  t.Begin();
  uint64_t number;
  EXPECT_EQ(status_of([&] { port.send(uint64_t{1}); }), Status::kNoRight);
  EXPECT_EQ(status_of([&] { port.receive(number, 0); }), Status::kNoRight);
  EXPECT_EQ(status_of([&] { StablePort().send(uint64_t{1}); }), Status::kNoRight);
  EXPECT_EQ(status_of([&] { StablePort::of_raw(port.raw() + 64).send(uint64_t{1}); }),
            Status::kNoRight);
  EXPECT_EQ(status_of([&] { port.destroy(); }), Status::kNoRight);
  EXPECT_TRUE(t.active());
  EXPECT_EQ(status_of([&] { port.report(); }), Status::kNoRight);
  t.Commit();
  EXPECT_EQ(memory_.report().violations, 0u);
}

// A message's bytes are the program's: they must not pass for a port.
TEST_P(Port, AForgedPortIsNone) {
  const StablePort port = make();
  Transaction t(memory_);
  t.Begin();
  void* forged = t.allocate(112);
  std::vector<char> bytes(112, 1);
  t.write(forged, 0, bytes.data(), bytes.size());
  const uint64_t address = static_cast<uint64_t>(
      static_cast<char*>(forged) - static_cast<char*>(memory_.at_address(0)));
  EXPECT_EQ(status_of([&] { StablePort::of_raw(address | 1ull << 40).send(1); }),
            Status::kNoRight);
  t.Commit();
  // And a port's own objects can't be opened by programs, nor while they are in use.
  t.Begin();
  port.send(uint64_t{1});
  void* record = memory_.at_address(port.raw() & ((uint64_t{1} << 40) - 1));
  uint64_t word;
  EXPECT_EQ(status_of([&] { t.read(record, 0, &word, 8); }), Status::kNotOpen);
  t.Begin();
  EXPECT_EQ(status_of([&] { static_cast<Stable*>(record)->Open(); }), Status::kForeign);
}

TEST_P(Port, AReceiveRightThatWasSentIsInTheMessage) {
  const StablePort carrier = make("carrier"), carried = make("carried");
  send(carried, 1);
  Transaction t(memory_);
  t.Begin();
  carrier.send(carried, Right::kReceive);
  uint64_t number;
  EXPECT_EQ(status_of([&] { carried.receive(number, 0); }), Status::kNoRight) << "given away";
  t.Commit();
  EXPECT_EQ(status_of([&] { receive(carried); }), Status::kNoRight);
  send(carried, 2);
  t.Begin();
  StablePort arrived;
  carrier.receive(arrived);
  EXPECT_TRUE(arrived == carried);
  EXPECT_TRUE(arrived.receive(number, 0));
  t.Abort();
  EXPECT_EQ(status_of([&] { receive(carried); }), Status::kNoRight) << "back in the message";
  t.Begin();
  carrier.receive(arrived);
  t.Commit();
  EXPECT_EQ(receive(carried), 1u);
  EXPECT_EQ(receive(carried), 2u);
  // Nobody could ever receive from it again if its right went with the carrier.
  t.Begin();
  carrier.send(carried, Right::kReceive);
  t.Commit();
  t.Begin();
  carrier.destroy();
  t.Commit();
  EXPECT_FALSE(StablePort::find("carried"));
}

TEST_P(Port, ManySendersAndReceiversLoseNothing) {
  constexpr uint64_t kSenders = 4, kEach = 200;
  const StablePort port = make({}, {100});
  std::vector<std::thread> threads;
  for (uint64_t sender = 1; sender <= kSenders; ++sender) {
    threads.emplace_back([&, sender] {
      for (uint64_t number = 1; number <= kEach; ++number) {
        send_patiently(port, sender << 32 | number);
      }
    });
  }
  std::atomic<uint64_t> received{0};
  for (int receiver = 0; receiver < 2; ++receiver) {
    threads.emplace_back([&] {
      while (received.load() < kSenders * kEach) received += receive(port, 5'000) != 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(received.load(), kSenders * kEach);
  EXPECT_EQ(port.report().queued(), 0u);
}

TEST_P(Port, EachSendersOrderIsKept) {
  constexpr uint64_t kSenders = 3, kEach = 150;
  const StablePort port = make({}, {100});
  std::vector<std::thread> threads;
  for (uint64_t sender = 0; sender < kSenders; ++sender) {
    threads.emplace_back([&, sender] {
      for (uint64_t number = 1; number <= kEach; ++number) {
        send_patiently(port, sender << 32 | number);
      }
    });
  }
  uint64_t last[kSenders] = {};
  for (uint64_t count = 0; count < kSenders * kEach; ++count) {
    const uint64_t number = receive(port, 10'000'000);
    EXPECT_EQ(number & 0xffff'ffff, ++last[number >> 32]);
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(Port, AnotherProgramAnswers) {
  const StablePort box = make("box"), reply = make();
  const pid_t child = fork();
  if (child == 0) {
    Memory mine = Memory::open(file_.path());
    atomically(mine, [](Transaction&) {
      Numbered message;
      StablePort::find("box").receive(message);
      message.reply.send(message.number + 1);
    });
    _exit(0);
  }
  atomically(memory_, [&](Transaction&) { box.send(Numbered{41, reply}); });
  EXPECT_EQ(receive(reply, 10'000'000), 42u);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

std::string mode_name(const testing::TestParamInfo<Mode>& info) { return name_of(info.param); }
INSTANTIATE_TEST_SUITE_P(Modes, Port,
                         testing::Values(Mode::kChecked, Mode::kWindow, Mode::kIsolated),
                         mode_name);

}  // namespace
}  // namespace auxin::stm
