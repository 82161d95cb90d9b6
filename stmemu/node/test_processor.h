// SPDX-License-Identifier: Apache-2.0
//
// For tests of stable nodes: processors that are child processes. Each joins, moves amounts between
// accounts in transactions whenever it has the memory, and says in a page that it shares with the
// test how it fares.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "auxin/stm_node.h"
#include "stmemu/interface/test_memory_file.h"
#include "tests/harness/kill_one.h"

namespace auxin::stm {

// --- accounts: their sum never changes ---

inline constexpr int kAccounts = 16;
inline constexpr int64_t kAmount = 1000;

struct Account : Stable {
  int64_t amount = kAmount;
  uint64_t transfers = 0;
  char more[200] = {};  // the account's number, again and again
};
struct Accounts : Stable {
  stable_ptr<Account> account[kAccounts];
};

inline void make_accounts(const Memory& memory) {
  atomically(memory, [](Transaction& t) {
    auto accounts = t.make<Accounts>();
    for (auto& account : accounts->account) account = t.make<Account>().reference();
    t.set_root("accounts", accounts.reference());
  });
}

struct Sums {
  int64_t amount = 0;
  uint64_t transfers = 0;
  bool whole = true;  // no account is half one transaction's and half another's
};

inline Sums sums_of(const Memory& memory) {
  return atomically(memory, [](Transaction& t) {
    Sums sums;
    auto accounts = t.open<const Accounts>(t.root<Accounts>("accounts"));
    for (const auto& reference : accounts->account) {
      auto account = t.open<const Account>(reference);
      sums.amount += account->amount;
      sums.transfers += account->transfers;
      for (const char byte : account->more) {
        sums.whole &= byte == static_cast<char>(account->transfers);
      }
    }
    return sums;
  });
}

using References = std::vector<stable_ptr<Account>>;

// They stay; read once, for who has the list of them open keeps others out.
inline References accounts_of(const Memory& memory) {
  return atomically(memory, [](Transaction& t) {
    auto accounts = t.open<const Accounts>(t.root<Accounts>("accounts"), 10'000);
    return References(accounts->account, accounts->account + kAccounts);
  });
}

// Moves 1 from one account to another one.
inline void transfer(const Memory& memory, const References& accounts, std::mt19937_64& random,
                     const std::function<void()>& in_the_middle) {
  const size_t from = random() % kAccounts;
  const size_t to = (from + 1 + random() % (kAccounts - 1)) % kAccounts;
  atomically(memory, [&](Transaction& t) {
    int64_t change = -1;
    for (const size_t number : {from, to}) {
      auto account = t.open<Account>(accounts[number], 1000);
      account->amount += change;
      ++account->transfers;
      memset(account->more, static_cast<char>(account->transfers), sizeof(account->more));
      change = 1;
      if (number == from) in_the_middle();
    }
  });
}

// --- processors ---

struct ProcessorWords {
  std::atomic<int> joined;        // 1; -1: it failed, `sentence` says why
  std::atomic<int> status;        // of the failure
  char sentence[400];
  std::atomic<uint32_t> state[2]; // 1 + NodeState, of each of its nodes
  std::atomic<uint32_t> changes;  // notices, and the last one:
  std::atomic<int> change;
  std::atomic<uint32_t> hung;
  std::atomic<uint64_t> undone, redone, other, lost;
  std::atomic<uint64_t> commits;  // acknowledged
  std::atomic<uint64_t> refused;  // transactions, with kStandby
  std::atomic<uint32_t> inside;   // threads that stay in the middle of a transaction
  std::atomic<int> failed;        // something that must not be
  // What the test tells it:
  std::atomic<bool> stay;         // in the middle of the next transaction
  std::atomic<bool> leave;
  std::atomic<bool> silent;       // stop calling beat()
  std::atomic<int> step, passes;  // die at this step (NodeStep) when it is passed so often
};

// Those of the child process that this is.
inline ProcessorWords* own_words = nullptr;

inline void pause_us(long us) {
  const timespec pause = {us / 1'000'000, us % 1'000'000 * 1000};
  nanosleep(&pause, nullptr);
}

// Waits for what should come soon; 10 s is never.
inline bool eventually(const std::function<bool()>& condition) {
  for (int round = 0; round < 10'000; ++round) {
    if (condition()) return true;
    pause_us(1000);
  }
  return false;
}

struct Work {
  int threads = 1;       // that move amounts
  NodeOptions options;
  bool beats = true;     // the application does, if it is to
};

class Processor {
 public:
  Processor()
      : words_(static_cast<ProcessorWords*>(mmap(nullptr, sizeof(ProcessorWords),
                                                 PROT_READ | PROT_WRITE,
                                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
  Processor(const Processor&) = delete;
  Processor& operator=(const Processor&) = delete;
  ~Processor() {
    kill();
    munmap(words_, sizeof(ProcessorWords));
  }

  ProcessorWords* operator->() { return words_; }
  pid_t pid() const { return pid_; }

  // Starts a process with one role in one node; `other_path`: the opposite one in another.
  // `step`: it dies at its `passes`-th pass there.
  void start(const std::string& path, Role role, const Work& work = {}, int step = -1,
             int passes = 1, const std::string& other_path = {}) {
    kill();
    acknowledged_ += words_->commits;
    new (words_) ProcessorWords{};
    words_->step = step;
    words_->passes = passes;
    pid_ = fork();
    if (pid_ != 0) return;
    own_words = words_;
    run(path, role, work, other_path);
  }
  bool joins() {
    return eventually([&] { return words_->joined != 0 || ended(); }) && words_->joined == 1;
  }
  bool has_ended_by(int signal) {
    return eventually([&] { return ended(); }) && WIFSIGNALED(status_) &&
           WTERMSIG(status_) == signal;
  }
  bool has_left() {
    words_->leave = true;
    return eventually([&] { return ended(); }) && WIFEXITED(status_) && WEXITSTATUS(status_) == 0;
  }
  bool ended() {
    if (pid_ > 0 && waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = 0;
    return pid_ <= 0;
  }
  bool is(NodeState state, int node = 0) {
    return words_->state[node] == static_cast<uint32_t>(state) + 1;
  }
  bool becomes(NodeState state, int node = 0) {
    return eventually([&] { return is(state, node) || ended(); }) && is(state, node);
  }
  bool works() {  // commits something from now on
    const uint64_t before = words_->commits;
    return eventually([&] { return words_->commits > before || ended(); }) &&
           words_->commits > before;
  }
  // SIGKILL, if it runs, and waits for its end.
  void kill() {
    if (pid_ <= 0) return;
    kill_one(pid_, SIGKILL);
    waitpid(pid_, &status_, 0);
    pid_ = 0;
  }
  // What all processes started here have had acknowledged.
  uint64_t acknowledged() const { return acknowledged_ + words_->commits; }

 private:
  [[noreturn]] void run(const std::string& path, Role role, Work work,
                        const std::string& other_path) {
    ProcessorWords& words = *words_;
    work.options.on_change = [&words](const NodeNotice& notice) {
      words.undone = notice.transactions_undone;
      words.redone = notice.transactions_redone;
      words.other = notice.other_process;
      words.lost += notice.objects_lost;
      words.hung = notice.other_hung;
      words.change = static_cast<int>(notice.change);
      ++words.changes;
    };
    try {
      StableNode nodes[2];
      nodes[0] = StableNode::join(path, role, work.options);
      if (!other_path.empty()) {
        nodes[1] = StableNode::join(other_path, role == as_primary ? as_backup : as_primary,
                                    work.options);
      }
      words.state[0] = static_cast<uint32_t>(nodes[0].report().state) + 1;
      words.joined = 1;
      std::vector<std::thread> threads;
      std::atomic<bool> stop{false};
      for (int node = 0; node < (other_path.empty() ? 1 : 2); ++node) {
        for (int number = 0; number < work.threads; ++number) {
          threads.emplace_back([&, node, number] { move_amounts(nodes[node], stop, number); });
        }
      }
      while (!words.leave) {
        for (int node = 0; node < 2; ++node) {
          if (nodes[node]) {
            words.state[node] = static_cast<uint32_t>(nodes[node].report().state) + 1;
          }
        }
        if (!words.silent && work.options.beat == Beat::kByApplication) nodes[0].beat();
        pause_us(500);
      }
      stop = true;
      for (std::thread& thread : threads) thread.join();
      for (StableNode& node : nodes) node.leave();
    } catch (const Failure& failure) {
      snprintf(words.sentence, sizeof(words.sentence), "%s", failure.what());
      words.status = static_cast<int>(failure.status());
      words.joined = -1;
      _exit(1);
    }
    _exit(words.failed);
  }

  void move_amounts(StableNode& node, const std::atomic<bool>& stop, int number) {
    ProcessorWords& words = *words_;
    std::mt19937_64 random(static_cast<uint64_t>(getpid()) * 100 + static_cast<uint64_t>(number));
    const std::function<void()> stay = [&] {
      if (!words.stay) return;
      ++words.inside;
      while (words.stay) pause_us(100);
      --words.inside;
    };
    References accounts;
    while (!stop) {
      try {
        if (accounts.empty()) accounts = accounts_of(node.memory());
        transfer(node.memory(), accounts, random, stay);
        ++words.commits;
      } catch (const Failure& failure) {
        if (failure.status() == Status::kStandby) {
          ++words.refused;
          node.wait_active(1);
        } else if (!failure.retryable()) {
          snprintf(words.sentence, sizeof(words.sentence), "%s", failure.what());
          words.failed = 1;
          return;
        }
      }
    }
  }

  ProcessorWords* words_;
  uint64_t acknowledged_ = 0;  // by earlier processes
  pid_t pid_ = 0;
  int status_ = 0;
};

// A memory with accounts.
class NodeFile : public MemoryFile {
 public:
  NodeFile() : NodeFile(Mode::kChecked) {}
  explicit NodeFile(Mode mode, uint64_t size_bytes = 1 << 20) : MemoryFile(mode, size_bytes) {
    EXPECT_EQ(in_child([&] { make_accounts(Memory::open(path())); return 0; }), 0);
  }
  // As whoever comes after all processors are gone sees it.
  Sums sums() const {
    auto* shared = static_cast<Sums*>(mmap(nullptr, sizeof(Sums), PROT_READ | PROT_WRITE,
                                           MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    EXPECT_EQ(in_child([&] {
                *shared = sums_of(Memory::open(path()));
                return 0;
              }),
              0);
    const Sums sums = *shared;
    munmap(shared, sizeof(Sums));
    return sums;
  }
};

// At least `acknowledged` transfers are there, and the accounts are whole.
inline void expect_sound(const NodeFile& file, uint64_t acknowledged) {
  const Sums sums = file.sums();
  EXPECT_EQ(sums.amount, kAccounts * kAmount);
  EXPECT_TRUE(sums.whole);
  EXPECT_GE(sums.transfers, 2 * acknowledged);
}

}  // namespace auxin::stm
