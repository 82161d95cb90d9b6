// SPDX-License-Identifier: Apache-2.0
//
// Goal: a stable memory object is a stable memory of its own: private, within its quota, and gone
// with all its pages when it is freed.
#include <signal.h>

#include <thread>

#include "auxin/stm_entities.h"
#include "stmemu/interface/test_memory_file.h"

namespace auxin::stm {
namespace {

struct Cell : Stable {
  uint64_t value = 0;
  char more[1000] = {};
};

class LogicalMemory : public testing::TestWithParam<Mode> {
 protected:
  MemoryObject make(const std::string& name, uint64_t quota_pages) {
    return atomically(memory_,
                      [&](Transaction&) { return MemoryObject::create(name, quota_pages); });
  }
  // How many large objects there is room for, after whoever needs room has taken it.
  int room() {
    Transaction t(memory_);
    t.Begin();
    int objects = 0;
    while (status_of([&] { t.allocate(100'000); }) == Status::kOk) ++objects;
    t.Abort();
    return objects;
  }
  stable_ptr<Cell> make_cell(const Memory& memory, uint64_t value) {
    return atomically(memory, [&](Transaction& t) {
      auto cell = t.make<Cell>();
      cell->value = value;
      return cell.reference();
    });
  }

  MemoryFile file_{GetParam(), 4 << 20};
  Memory memory_ = Memory::open(file_.path());
};

TEST_P(LogicalMemory, HasTheFunctionsOfThePhysicalOne) {
  const MemoryObject object = make("one", 200);
  const Memory logical = object.memory();
  atomically(logical, [&](Transaction& t) {
    auto cell = t.make<Cell>();
    cell->value = 5;
    t.set_root("cell", cell.reference());
  });
  memory_.close();
  EXPECT_EQ(in_child([&] {
              Memory mine = Memory::open(file_.path());
              return static_cast<int>(
                  atomically(MemoryObject::find("one").memory(), [](Transaction& t) {
                    return t.open<const Cell>(t.root<Cell>("cell"))->value;
                  }));
            }),
            5 << 8);
}

TEST_P(LogicalMemory, IsPrivate) {
  const Memory one = make("one", 200).memory(), two = make("two", 200).memory();
  const stable_ptr<Cell> of_one = make_cell(one, 1), of_two = make_cell(two, 2),
                         of_none = make_cell(memory_, 3);
  const auto opens = [](const Memory& memory, stable_ptr<Cell> cell) {
    return status_of([&] {
      atomically(memory, [&](Transaction& t) { t.open<Cell>(cell)->value += 10; });
    });
  };
  EXPECT_EQ(opens(one, of_one), Status::kOk);
  EXPECT_EQ(opens(one, of_two), Status::kForeign);
  EXPECT_EQ(opens(one, of_none), Status::kForeign);
  EXPECT_EQ(opens(two, of_one), Status::kForeign);
  EXPECT_EQ(opens(memory_, of_one), Status::kForeign);
  EXPECT_EQ(opens(memory_, of_none), Status::kOk);
  // Roots are apart too.
  atomically(one, [&](Transaction& t) { t.set_root("cell", of_one); });
  atomically(two, [&](Transaction& t) { EXPECT_FALSE(t.root<Cell>("cell")); });
  atomically(memory_, [&](Transaction& t) { EXPECT_FALSE(t.root<Cell>("cell")); });
}

TEST_P(LogicalMemory, TransactionsOfOneThreadEachRunInTheirOwn) {
  const MemoryObject object = make("one", 200);
  const Memory logical = object.memory();
  Transaction plain(memory_), inside(logical);
  plain.Begin();
  const stable_ptr<Cell> outer = plain.make<Cell>().reference();
  plain.Commit();
  inside.Begin();
  const stable_ptr<Cell> inner = inside.make<Cell>().reference();
  inside.Commit();
  // Both have begun before, on the same context: each finds its own objects, and no other's.
  for (int turn = 0; turn < 3; ++turn) {
    plain.Begin();
    EXPECT_EQ(status_of([&] { plain.open<Cell>(outer)->value = 1; }), Status::kOk);
    EXPECT_EQ(status_of([&] { plain.open<Cell>(inner); }), Status::kForeign);
    inside.Begin();
    EXPECT_EQ(status_of([&] { inside.open<Cell>(inner)->value = 1; }), Status::kOk);
    EXPECT_EQ(status_of([&] { inside.open<Cell>(outer); }), Status::kForeign);
  }
}

TEST_P(LogicalMemory, HasAQuota) {
  const MemoryObject object = make("small", 50);
  const Memory logical = object.memory();
  Transaction t(logical);
  Status last = Status::kOk;
  std::vector<stable_ptr<Cell>> cells;
  while (last == Status::kOk) {
    last = status_of([&] { cells.push_back(make_cell(logical, 1)); });
  }
  EXPECT_EQ(last, Status::kFull);
  const MemoryObjectReport report = object.report();
  EXPECT_LE(report.pages, 50u);
  EXPECT_GT(report.pages, 30u);
  EXPECT_EQ(report.objects, cells.size());
  EXPECT_EQ(report.object_bytes, cells.size() * sizeof(Cell));
  t.Begin();
  std::string why;
  try {
    t.allocate(300'000);
  } catch (const Failure& failure) {
    why = failure.what();
  }
  EXPECT_NE(why.find("quota"), std::string::npos) << why;
  t.Commit();
  // What it frees it can use again; for objects of another size as well.
  for (const stable_ptr<Cell>& cell : cells) {
    atomically(logical, [&](Transaction& u) { u.open<Cell>(cell).destroy(); });
  }
  atomically(logical, [&](Transaction& u) { u.allocate(100'000); });
  EXPECT_GT(memory_.report().free_bytes, uint64_t{2} << 20) << "others have room";
}

TEST_P(LogicalMemory, GivesAllItsPagesBackWhenItIsFreed) {
  make_cell(memory_, 0);
  make("first", 10);  // the memory's own runs are there from here on
  const uint64_t free_before = memory_.report().free_bytes;
  for (int round = 0; round < 5; ++round) {
    const MemoryObject object = make("gone", 400);
    const Memory logical = object.memory();
    const stable_ptr<Cell> cell = make_cell(logical, 1);
    for (int i = 0; i < 100; ++i) make_cell(logical, 1);
    atomically(logical, [&](Transaction& t) {
      t.allocate(300'000);
      t.set_root("cell", cell);
    });
    EXPECT_LT(memory_.report().free_bytes, free_before - 300'000);
    Transaction t(memory_);
    t.Begin();
    object.destroy();
    t.Abort();
    atomically(logical, [&](Transaction& u) { EXPECT_EQ(u.open<Cell>(cell)->value, 1u); });
    t.Begin();
    object.destroy();
    t.Commit();
    EXPECT_EQ(memory_.report().free_bytes, free_before);
    EXPECT_EQ(status_of([&] { make_cell(logical, 1); }), Status::kNoRight);
    EXPECT_EQ(status_of([&] { object.memory(); }), Status::kNoRight);
    EXPECT_FALSE(MemoryObject::find("gone"));
  }
}

TEST_P(LogicalMemory, FreedWhileATransactionRunsInItGoesWhenThatHasEnded) {
  make_cell(memory_, 0);
  make("first", 10);
  const int room_before = room();
  const MemoryObject object = make("gone", 400);
  Transaction inside(object.memory());
  inside.Begin();
  inside.allocate(600'000);
  std::thread([&] {
    atomically(memory_, [&](Transaction&) { object.destroy(); });
  }).join();
  inside.Commit();
  EXPECT_GE(room(), room_before - 1) << "but for a descriptor of one thread more";
}

TEST_P(LogicalMemory, PagesOfADeadOneAreTakenBackAtAttach) {
  make_cell(memory_, 0);
  make("first", 10);
  const uint64_t free_before = memory_.report().free_bytes;
  const int room_before = room();
  make("gone", 400);
  EXPECT_TRUE(WIFSIGNALED(in_child([&] {
    Memory mine = Memory::open(file_.path());
    const MemoryObject same = MemoryObject::find("gone");
    Transaction t(same.memory());
    t.Begin();
    t.allocate(600'000);
    t.Commit();
    t.Begin();
    t.allocate(100'000);
    std::thread([&] { atomically(mine, [&](Transaction&) { same.destroy(); }); }).join();
    return raise(SIGKILL);
  })));
  memory_.close();
  memory_ = Memory::open(file_.path());
  if (GetParam() != Mode::kIsolated) {  // (its controller has the memory attached all the time)
    EXPECT_EQ(memory_.report().free_bytes, free_before);
  }
  EXPECT_GE(room(), room_before - 1) << "but for a descriptor of one thread more";
}

std::string mode_name(const testing::TestParamInfo<Mode>& info) { return name_of(info.param); }
INSTANTIATE_TEST_SUITE_P(Modes, LogicalMemory,
                         testing::Values(Mode::kChecked, Mode::kWindow, Mode::kIsolated),
                         mode_name);

}  // namespace
}  // namespace auxin::stm
