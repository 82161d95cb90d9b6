// SPDX-License-Identifier: Apache-2.0
//
// Goal: in mode kWindow no raw pointer reaches what is not open: each such access is caught, the
// policy decides, and what is committed stays as it was.
// Method: children trespass in every way; the parent looks at the objects afterwards.
#include <signal.h>
#include <stdio.h>

#include <fstream>
#include <random>

#include "stmemu/interface/test_memory_file.h"

namespace auxin::stm {
namespace {

struct Cell : Stable {
  volatile uint64_t value = 42;
};

// Its parameter: plain_guards.
class Trespass : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    Memory memory = Memory::open(file_.path());
    cell_ = atomically(memory, [](Transaction& t) {
      auto cell = t.make<Cell>();
      t.set_root("cell", cell.reference());
      return cell.reference();
    });
    other_ = atomically(memory, [](Transaction& t) { return t.make<Cell>().reference(); });
    memory.close();
  }
  void expect_intact() {
    Memory memory = Memory::open(file_.path());
    EXPECT_TRUE(memory.report().found_when_opened.empty());
    atomically(memory, [&](Transaction& t) {
      EXPECT_EQ(t.open<Cell>(cell_)->value, 42u);
      EXPECT_EQ(t.open<Cell>(other_)->value, 42u);
    });
  }
  static OpenMemory guards() {
    OpenMemory how;
    how.plain_guards = GetParam();
    return how;
  }
  // A child that runs `deed` inside a transaction of its own.
  int in_transaction(Policy policy, const std::function<void(Transaction&)>& deed) {
    return in_child([&] {
      if (freopen("/dev/null", "w", stderr) == nullptr) return 99;
      OpenMemory how = guards();
      how.policy = policy;
      Memory memory = Memory::open(file_.path(), how);
      try {
        atomically(memory, deed);
      } catch (const Failure& failure) {
        return 10 + static_cast<int>(failure.status());
      }
      return 0;
    });
  }

  MemoryFile file_{Mode::kWindow};
  stable_ptr<Cell> cell_, other_;
};

TEST_P(Trespass, LoadsAndStoresWithoutOpenFailTheTransaction) {
  const std::vector<std::function<void(Transaction&)>> deeds = {
      [&](Transaction&) { cell_->value = 1; },
      [&](Transaction&) { static_cast<void>(cell_->value); },
      [&](Transaction& t) {
        auto open = t.open<Cell>(other_);
        open->value = 5;
        cell_->value = 1;
      },
      [&](Transaction& t) {
        { auto open = t.open<Cell>(cell_); open->value = 6; }
        cell_->value = 7;  // closed again
      },
      [&](Transaction& t) {
        auto open = t.open<const Cell>(cell_);
        const_cast<Cell*>(open.get())->value = 8;  // for reading only
      }};
  for (const auto& deed : deeds) {
    const int status = in_transaction(Policy::kAbort, deed);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 10 + static_cast<int>(Status::kNotOpen));
    expect_intact();
  }
}

TEST_P(Trespass, TrustedCodeIsHalted) {
  const int status =
      in_transaction(Policy::kHalt, [&](Transaction&) { cell_->value = 1; });
  EXPECT_TRUE(WIFSIGNALED(status));
  expect_intact();
}

TEST_P(Trespass, OutsideOfAnythingTheProgramEnds) {
  const int status = in_child([&] {
    if (freopen("/dev/null", "w", stderr) == nullptr) return 99;
    Memory memory = Memory::open(file_.path(), guards());
    cell_->value = 1;
    return 0;
  });
  EXPECT_TRUE(WIFSIGNALED(status));
  expect_intact();
}

TEST_P(Trespass, ManyTimesInOneProgram) {
  const int status = in_child([&] {
    Memory memory = Memory::open(file_.path(), guards());
    for (int i = 0; i < 1000; ++i) {
      const Status said =
          status_of([&] { atomically(memory, [&](Transaction&) { cell_->value = 1; }); });
      if (said != Status::kNotOpen) return 1;
      atomically(memory, [&](Transaction& t) { t.open<Cell>(other_)->value = 42; });
    }
    return 0;
  });
  EXPECT_EQ(status, 0);
  expect_intact();
}

// Every place in the process where the memory file is mapped, apart from the board, which decides
// nothing of what is committed.
std::vector<std::pair<uint64_t, uint64_t>> mapped_banks(const std::string& path,
                                                        uint64_t banks_bytes) {
  std::vector<std::pair<uint64_t, uint64_t>> found;
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    if (line.find(path) == std::string::npos) continue;
    unsigned long from, to, offset;
    char rights[8];
    if (sscanf(line.c_str(), "%lx-%lx %7s %lx", &from, &to, rights, &offset) != 4) continue;
    if (offset < banks_bytes) found.emplace_back(from, to);
  }
  return found;
}

TEST_P(Trespass, RandomWildStoresLeaveWhatIsCommittedIntact) {
  const char* given = getenv("AUXIN_SEED");
  const uint64_t seed = given != nullptr ? strtoull(given, nullptr, 0) : std::random_device{}();
  SCOPED_TRACE("AUXIN_SEED=" + std::to_string(seed));
  const int status = in_child([&] {
    Memory memory = Memory::open(file_.path(), guards());
    const auto areas = mapped_banks(file_.path(), 2 << 20);
    if (areas.empty()) return 2;
    std::mt19937_64 random(seed);
    for (int i = 0; i < 3000; ++i) {
      const auto& [from, to] = areas[random() % areas.size()];
      const uint64_t at = (from + random() % (to - from)) & ~7ull;
      const Status said = status_of([&] {
        atomically(memory, [&](Transaction& t) {
          auto open = t.open<Cell>(other_);
          const auto own = reinterpret_cast<uint64_t>(open.get()) & ~4095ull;
          if (at >= own && at < own + 4096) detail::raise(Status::kNotOpen, "its own page");
          *reinterpret_cast<volatile uint64_t*>(at) = random();
        });
      });
      if (said != Status::kNotOpen) return 1;
    }
    return 0;
  });
  EXPECT_EQ(status, 0);
  expect_intact();
}

TEST_P(Trespass, WhatGuardsIsReported) {
  Memory memory = Memory::open(file_.path(), guards());
  const MemoryReport report = memory.report();
  if (GetParam()) {
    EXPECT_EQ(report.guard, "mprotect");
    EXPECT_EQ(report.stores, "system call");
  } else {
    EXPECT_TRUE(report.guard == "userfaultfd" || report.guard == "mprotect") << report.guard;
    EXPECT_TRUE(report.stores == "protection key" || report.stores == "system call");
  }
}

std::string guard_name(const testing::TestParamInfo<bool>& info) {
  return info.param ? "plain" : "fastest";
}
INSTANTIATE_TEST_SUITE_P(Guards, Trespass, testing::Bool(), guard_name);

}  // namespace
}  // namespace auxin::stm
