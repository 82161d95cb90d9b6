// SPDX-License-Identifier: Apache-2.0
//
// Goal: one processor runs a stable task at a time; after its death another one begins again at the
// entry point, within milliseconds, with the task's rights and memory; rights bind tasks.
// Method: tasks in threads and in children that are killed.
#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "auxin/stm_entities.h"
#include "stmemu/interface/test_memory_file.h"
#include "tests/harness/kill_one.h"

namespace auxin::stm {
namespace {

struct Counter : Stable {
  uint64_t value = 0;
};

struct Letter {
  StablePort declared;
  uint64_t smuggled;
  template <typename Visit>
  void each_port(Visit visit) { visit(declared); }
};

using Clock = std::chrono::steady_clock;

class Task : public testing::Test {
 protected:
  StableTask make(const std::string& name, EntryFunction entry, const MemoryObject& object = {}) {
    register_entry(name + " entry", std::move(entry));
    return atomically(memory_, [&](Transaction&) {
      return StableTask::create(name, name + " entry", object);
    });
  }
  MemoryObject make_memory(const std::string& name) {
    return atomically(memory_, [&](Transaction&) { return MemoryObject::create(name, 200); });
  }
  StablePort make_port(const std::string& name = {}) {
    return atomically(memory_, [&](Transaction&) { return StablePort::create(name); });
  }

  MemoryFile file_{Mode::kChecked, 4 << 20};
  Memory memory_ = Memory::open(file_.path());
};

TEST_F(Task, RunsToItsEndOnce) {
  int runs = 0;
  const StableTask task = make("job", [&](const StableTask& self) {
    EXPECT_TRUE(self);
    EXPECT_TRUE(StableTask::current());
    ++runs;
  });
  EXPECT_TRUE(run_task("job"));
  EXPECT_TRUE(run_task("job")) << "it has returned before";
  EXPECT_EQ(runs, 1);
  EXPECT_TRUE(task.report().finished);
  EXPECT_EQ(task.report().starts, 1u);
  atomically(memory_, [&](Transaction&) { task.make_ready(); });
  EXPECT_TRUE(run_task("job"));
  EXPECT_EQ(runs, 2);
  EXPECT_FALSE(StableTask::current());
}

TEST_F(Task, MisuseIsSaid) {
  EXPECT_EQ(status_of([&] { run_task("nobody"); }), Status::kNoRight);
  const StableTask task = make("job", nullptr);
  EXPECT_EQ(status_of([&] { run_task("job"); }), Status::kRefused);
  EXPECT_EQ(status_of([&] { make("job", nullptr); }), Status::kBusy);
  register_entry("job entry", [&](const StableTask& self) {
    EXPECT_EQ(status_of([&] { run_task("job"); }), Status::kNested);
    EXPECT_EQ(status_of([&] { atomically(memory_, [&](Transaction&) { self.destroy(); }); }),
              Status::kBusy);
    throw std::runtime_error("the job failed");
  });
  EXPECT_THROW(run_task("job"), std::runtime_error);
  EXPECT_FALSE(task.report().finished);
  EXPECT_FALSE(task.report().running);
  atomically(memory_, [&](Transaction&) { task.destroy(); });
  EXPECT_EQ(status_of([&] { task.report(); }), Status::kNoRight);
  EXPECT_FALSE(StableTask::find("job"));
}

TEST_F(Task, OneProcessorRunsItAtATime) {
  std::atomic<int> inside{0}, runs{0};
  make("job", [&](const StableTask&) {
    EXPECT_EQ(inside.fetch_add(1), 0);
    ++runs;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    --inside;
  });
  std::vector<std::thread> threads;
  std::atomic<int> refused{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { refused += !run_task("job", 0); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(runs.load(), 1);
  EXPECT_EQ(refused.load(), 3);
}

TEST_F(Task, ItsMemoryIsCurrentAndPrivate) {
  const MemoryObject object = make_memory("of the job");
  const StableTask task = make("job", [&](const StableTask&) {
    Transaction T;  // of the task's own memory
    T.Begin();
    Counter* counter = new Counter;
    counter->value = 7;
    T.set_root("counter", stable_ptr<Counter>(counter));
    T.Commit();
    EXPECT_EQ(atomically(MemoryObject::find("of the job").memory(), [](Transaction& t) {
                return t.open<const Counter>(t.root<Counter>("counter"))->value;
              }),
              7u);
  }, object);
  EXPECT_EQ(status_of([&] { object.memory(); }), Status::kNoRight) << "private to the task";
  EXPECT_TRUE(run_task("job"));
  EXPECT_EQ(object.report().objects, 1u);
  EXPECT_EQ(status_of([&] { make("other", nullptr, object); }), Status::kBusy);
  EXPECT_EQ(status_of([&] { atomically(memory_, [&](Transaction&) { object.destroy(); }); }),
            Status::kBusy);
  atomically(memory_, [&](Transaction&) { task.destroy(); });
  atomically(memory_, [&](Transaction&) { object.destroy(); });
}

// Paper 001, §3.1: rights are transmitted by messages, under the control of the kernel only.
TEST_F(Task, RightsComeByNameByGiftAndByMessage) {
  const StablePort inbox = make_port(), secret = make_port(), gift = make_port();
  make_port("named");
  const StableTask task = make("job", [&](const StableTask&) {
    const auto send = [](StablePort port) {
      return status_of([&] { Transaction t; t.Begin(); port.send(uint64_t{1}); t.Commit(); });
    };
    const auto receive = [](StablePort port) {
      return status_of([&] {
        Transaction t;
        t.Begin();
        uint64_t number;
        port.receive(number, 0);
        t.Commit();
      });
    };
    EXPECT_EQ(send(secret), Status::kNoRight);
    EXPECT_EQ(receive(secret), Status::kNoRight);
    EXPECT_EQ(send(gift), Status::kOk) << "the node gave it";
    EXPECT_EQ(receive(gift), Status::kNoRight) << "but to send only";
    EXPECT_EQ(send(StablePort::find("named")), Status::kOk);
    EXPECT_EQ(receive(StablePort::find("named")), Status::kNoRight);
    // A port that does not travel as a right is a number.
    Transaction t;
    t.Begin();
    Letter letter;
    inbox.receive(letter);
    EXPECT_EQ(status_of([&] { StablePort::of_raw(letter.smuggled).send(uint64_t{1}); }),
              Status::kNoRight);
    letter.declared.send(uint64_t{5});
    t.Abort();
    EXPECT_EQ(send(letter.declared), Status::kNoRight) << "the right went back with the message";
    t.Begin();
    inbox.receive(letter);
    t.Commit();
    EXPECT_EQ(send(letter.declared), Status::kOk);
    EXPECT_EQ(send(StablePort::of_raw(letter.smuggled)), Status::kNoRight);
    // It can't give what it has not.
    t.Begin();
    EXPECT_EQ(status_of([&] { letter.declared.send(secret); }), Status::kNoRight);
    const StablePort own = StablePort::create();
    letter.declared.send(own, Right::kReceive);
    t.Commit();
    EXPECT_EQ(receive(own), Status::kNoRight);
  });
  const StablePort answer = make_port(), smuggled = make_port();
  atomically(memory_, [&](Transaction&) {
    task.give(inbox, Right::kReceive);
    task.give(gift, Right::kSend);
    inbox.send(Letter{answer, smuggled.raw()});
  });
  EXPECT_TRUE(run_task("job"));
  atomically(memory_, [&](Transaction&) {
    uint64_t number = 0;
    EXPECT_TRUE(answer.receive(number, 0));
    EXPECT_EQ(number, 1u);
    StablePort own;
    EXPECT_TRUE(answer.receive(own, 0));
    EXPECT_FALSE(own.receive(number, 0)) << "its receive right has arrived";
    EXPECT_EQ(status_of([&] { inbox.receive(number, 0); }), Status::kNoRight);
  });
}

TEST_F(Task, ManyRightsAndThoseOfPortsThatAreNoMore) {
  const StablePort inbox = make_port();
  std::vector<StablePort> ports;
  const StableTask task = make("job", [&](const StableTask&) {
    for (int i = 0; i < 100; ++i) {
      Transaction t;
      t.Begin();
      StablePort reply;
      inbox.receive(reply);
      reply.send(uint64_t{1});
      t.Commit();
    }
  });
  atomically(memory_, [&](Transaction&) { task.give(inbox, Right::kReceive); });
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 100; ++i) {
      ports.push_back(make_port());
      atomically(memory_, [&](Transaction&) { inbox.send(ports.back()); });
    }
    atomically(memory_, [&](Transaction&) { task.make_ready(); });
    EXPECT_TRUE(run_task("job"));
    for (const StablePort& port : ports) {
      EXPECT_EQ(port.report().queued(), 1u);
      atomically(memory_, [&](Transaction&) { port.destroy(); });
    }
    ports.clear();
  }
}

TEST_F(Task, AnotherProcessorTakesOverWithinMilliseconds) {
  const MemoryObject object = make_memory("of the job");
  const StablePort inbox = make_port();
  auto* running = static_cast<std::atomic<int>*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const StableTask task = make("job", [&](const StableTask&) {
    running->fetch_add(1);
    for (;;) {
      Transaction t;
      t.Begin();
      uint64_t number;
      inbox.receive(number);
      auto root = t.root<Counter>("counter");
      auto counter = root ? t.open<Counter>(root) : t.make<Counter>();
      t.set_root("counter", counter.reference());
      counter->value += number;
      if (number == 100) ::raise(SIGKILL);
      t.Commit();
      if (number == 1) return;
    }
  }, object);
  atomically(memory_, [&](Transaction&) { task.give(inbox, Right::kReceive); });
  std::vector<pid_t> children;
  for (int i = 0; i < 5; ++i) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    Memory mine = Memory::open(file_.path());
    { TaskRunner runner(mine, "job"); while (!runner.done()) usleep(1000); }
    _exit(0);
  }
  while (running->load() < 1) usleep(100);
  const pid_t first = static_cast<pid_t>(task.report().pid);
  EXPECT_TRUE(task.report().running);
  const auto killed_at = Clock::now();
  kill_one(first, SIGKILL);
  while (running->load() < 2) usleep(50);
  EXPECT_LT(Clock::now() - killed_at, std::chrono::milliseconds(200));
  // Now in the middle of transactions, each of which is a death and is put back; then two that end.
  const auto send = [&](uint64_t number) {
    atomically(memory_, [&](Transaction&) { inbox.send(number); });
  };
  send(20);
  send(100);  // deadly, as long as it is in the queue
  while (task.report().starts < 4) usleep(100);
  EXPECT_EQ(inbox.report().queued(), 1u) << "the deadly message was put back";
  for (const pid_t child : children) {
    kill_one(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  EXPECT_FALSE(task.report().running);
  register_entry("job entry", [&](const StableTask&) {
    Transaction t;
    t.Begin();
    uint64_t number = 0;
    inbox.receive(number);
    EXPECT_EQ(number, 100u);
    EXPECT_EQ(t.open<Counter>(t.root<Counter>("counter"))->value, 20u);
    t.Commit();
  });
  TaskRunner runner(memory_, "job");
  for (int i = 0; i < 2000 && !runner.done(); ++i) usleep(1000);
  EXPECT_TRUE(runner.done()) << runner.last_failure();
  munmap(running, 4096);
}

TEST_F(Task, ARunnerStartsAFailingTaskAgain) {
  std::atomic<int> starts{0};
  make("job", [&](const StableTask&) {
    if (++starts < 4) throw std::runtime_error("not yet");
    while (!StableTask::should_stop()) usleep(1000);
  });
  {
    TaskRunner runner(memory_, "job");
    for (int i = 0; i < 2000 && starts.load() < 4; ++i) usleep(1000);
    EXPECT_EQ(runner.last_failure(), "not yet");
    EXPECT_FALSE(runner.done());
  }
  EXPECT_EQ(starts.load(), 4);
}

}  // namespace
}  // namespace auxin::stm
