// SPDX-License-Identifier: Apache-2.0
//
// Goal: <auxin/stm.h> does what it says, in every mode, and every misuse is a clear error.
// Method: small programs against a memory file, some of them in children that are killed.
#include <signal.h>

#include <array>
#include <thread>

#include "stmemu/examples/segment.h"
#include "stmemu/interface/test_memory_file.h"

namespace auxin::stm {
namespace {

struct Node : Stable {
  uint64_t value = 0;
  stable_ptr<Node> next;
};

class Interface : public testing::TestWithParam<Mode> {
 protected:
  MemoryFile file_{GetParam()};
  Memory memory_ = Memory::open(file_.path());
};

TEST_P(Interface, ThePapersSegmentMovesAPage) {
  Transaction T(memory_);
  T.Begin();
  Segment* s = new Segment();
  T.Commit();
  Page page = "the page", got = {};
  T.Begin();
  s->Open();
  s->write_page(0, page);
  s->Close();
  T.Commit();
  T.Begin();
  s->Open();
  s->read_page(0, got);
  s->write_page(1, got);
  s->Close();
  T.Commit();
  T.Begin();
  s->Open();
  s->read_page(1, got);
  T.Commit();
  EXPECT_STREQ(got, "the page");
}

TEST_P(Interface, WhatIsAbortedNeverWas) {
  stable_ptr<Node> node = atomically(memory_, [](Transaction& t) {
    auto made = t.make<Node>();
    made->value = 1;
    return made.reference();
  });
  Transaction t(memory_);
  t.Begin();
  t.open<Node>(node)->value = 2;
  Node* other = new Node;
  stable_ptr<Node> gone = other;
  t.Abort();
  t.Begin();
  EXPECT_EQ(t.open<const Node>(node)->value, 1u);
  EXPECT_EQ(status_of([&] { t.open<const Node>(gone); }), Status::kNotStable);
  EXPECT_FALSE(t.active()) << "a violation aborts";
}

TEST_P(Interface, RootsLeadAnotherProgramToItsObjects) {
  atomically(memory_, [](Transaction& t) {
    auto first = t.make<Node>();
    auto second = t.make<Node>();
    first->value = 7;
    second->value = 8;
    first->next = second.reference();
    t.set_root("list", first.reference());
  });
  memory_.close();
  const int status = in_child([this] {
    Memory again = Memory::open(file_.path());
    return static_cast<int>(atomically(again, [](Transaction& t) {
      auto first = t.open<const Node>(t.root<Node>("list"));
      auto second = t.open<const Node>(first->next);
      EXPECT_FALSE(t.root<Node>("no such"));
      return first->value * 10 + second->value;
    }));
  });
  EXPECT_EQ(WEXITSTATUS(status), 78);
}

TEST_P(Interface, AHundredRootsAndNamesThatDoNotFit) {
  stable_ptr<Node> node = atomically(memory_, [](Transaction& t) {
    return t.make<Node>().reference();
  });
  for (int i = 0; i < 100; ++i) {
    atomically(memory_, [&](Transaction& t) { t.set_root("root" + std::to_string(i), node); });
  }
  atomically(memory_, [&](Transaction& t) { t.set_root<Node>("root50", nullptr); });
  atomically(memory_, [&](Transaction& t) {
    EXPECT_TRUE(t.root<Node>("root99") == node);
    EXPECT_FALSE(t.root<Node>("root50"));
  });
  for (const std::string& name : {std::string(), std::string(48, 'x')}) {
    EXPECT_EQ(status_of([&] {
                atomically(memory_, [&](Transaction& t) { t.set_root(name, node); });
              }),
              Status::kTooLarge);
  }
}

TEST_P(Interface, MisuseOfTransactionsIsSaid) {
  Transaction t(memory_), other(memory_);
  EXPECT_EQ(status_of([&] { t.Commit(); }), Status::kNotActive);
  EXPECT_EQ(status_of([&] { t.Abort(); }), Status::kNotActive);
  EXPECT_EQ(status_of([&] { new Node; }), Status::kNotActive);
  t.Begin();
  EXPECT_EQ(status_of([&] { t.Begin(); }), Status::kNested);
  EXPECT_EQ(status_of([&] { other.Begin(); }), Status::kNested);
  std::thread([&] {
    EXPECT_EQ(status_of([&] { t.Commit(); }), Status::kWrongThread);
  }).join();
  t.Commit();
  EXPECT_EQ(status_of([&] { t.allocate(8); }), Status::kNotActive);
  EXPECT_EQ(status_of([&] { Transaction().Begin(); }), Status::kOk) << "the current memory";
  EXPECT_EQ(status_of([&] { Transaction(Memory()).Begin(); }), Status::kDetached);
}

TEST_P(Interface, AccessesToWhatIsNotOpenAreRejected) {
  Transaction t(memory_);
  t.Begin();
  void* object = t.allocate(40);
  t.Commit();
  uint64_t word = 0;
  const std::array<std::function<void()>, 5> deeds = {
      [&] { t.read(object, 0, &word, 8); },   [&] { t.write(object, 0, &word, 8); },
      [&] { t.free(object); },                [&] { static_cast<Node*>(object)->Close(); },
      [&] { delete static_cast<Node*>(object); }};
  for (const auto& deed : deeds) {
    t.Begin();
    EXPECT_EQ(status_of(deed), Status::kNotOpen);
    EXPECT_FALSE(t.active());
  }
  // Closed again, freed, beyond the end, and where nothing is.
  t.Begin();
  static_cast<Node*>(object)->Open();
  static_cast<Node*>(object)->Close();
  EXPECT_EQ(status_of([&] { t.read(object, 0, &word, 8); }), Status::kNotOpen);
  t.Begin();
  static_cast<Node*>(object)->Open();
  EXPECT_EQ(status_of([&] { t.write(object, 33, &word, 8); }), Status::kOutOfBounds);
  t.Begin();
  static_cast<Node*>(object)->Open();
  t.free(object);
  EXPECT_EQ(status_of([&] { t.read(object, 0, &word, 8); }), Status::kNotOpen);
  t.Begin();
  static_cast<Node*>(object)->Open();
  t.free(object);
  t.Commit();
  t.Begin();
  EXPECT_EQ(status_of([&] { static_cast<Node*>(object)->Open(); }), Status::kFreed);
  char* inside = static_cast<char*>(object) + 16;
  t.Begin();
  EXPECT_EQ(status_of([&] { reinterpret_cast<Node*>(inside)->Open(); }), Status::kNotStable);
  Node ordinary;
  t.Begin();
  EXPECT_EQ(status_of([&] { ordinary.Open(); }), Status::kNotStable);
  EXPECT_GE(memory_.report().violations, 10u);
}

TEST_P(Interface, AReferenceKnowsALaterLifeFromItsOwn) {
  Transaction t(memory_);
  t.Begin();
  stable_ptr<Node> old = t.make<Node>().reference();
  t.Commit();
  t.Begin();
  t.open<Node>(old).destroy();
  t.Commit();
  // Until the place is used again.
  stable_ptr<Node> young;
  for (int i = 0; i < 5000 && young.address() != old.address(); ++i) {
    t.Begin();
    young = t.make<Node>().reference();
    t.Commit();
  }
  ASSERT_EQ(young.address(), old.address());
  t.Begin();
  EXPECT_EQ(status_of([&] { t.open<Node>(old); }), Status::kFreed);
  t.Begin();
  t.open<Node>(young)->value = 5;
  t.Commit();
}

TEST_P(Interface, ADescriptorIsMadeInATransactionAndUsedByAnotherProgram) {
  Transaction maker(memory_);
  maker.Begin();
  Transaction* made = new Transaction(memory_);
  const uint64_t descriptor = made->descriptor();
  EXPECT_NE(descriptor, 0u);
  maker.Commit();
  made->Begin();
  new Node;
  EXPECT_EQ(status_of([&] {
              std::thread([&] {
                auto same = Transaction::at(memory_, descriptor);
                EXPECT_EQ(status_of([&] { same->Begin(); }), Status::kConflict);
              }).join();
            }),
            Status::kOk);
  made->Commit();
  const int status = in_child([&] {
    Memory again = Memory::open(file_.path());
    auto same = Transaction::at(again, descriptor);
    same->Begin();
    new Node;
    same->Commit();
    return 0;
  });
  EXPECT_EQ(status, 0);
  maker.Begin();
  delete made;
  maker.Commit();
  auto same = Transaction::at(memory_, descriptor);
  EXPECT_NE(status_of([&] { same->Begin(); }), Status::kOk);

  maker.Begin();
  Transaction* never = new Transaction(memory_);
  maker.Abort();
  EXPECT_NE(status_of([&] { never->Begin(); }), Status::kOk) << "it was never made";
  maker.Begin();
  EXPECT_NE(status_of([&] { delete never; }), Status::kOk);
}

TEST_P(Interface, ATransactionThatItsThreadLeavesBehindIsAborted) {
  stable_ptr<Node> node =
      atomically(memory_, [](Transaction& t) { return t.make<Node>().reference(); });
  std::thread([&] {
    auto* left = new Transaction*(nullptr);
    *left = ::new (::operator new(sizeof(Transaction))) Transaction(memory_);
    (*left)->Begin();
    Opened<Node>(node)->value = 9;
  }).join();
  atomically(memory_, [&](Transaction& t) {
    EXPECT_EQ(t.open<const Node>(node)->value, 0u);
  });
}

TEST_P(Interface, ATransactionOfAKilledProgramIsAborted) {
  stable_ptr<Node> node =
      atomically(memory_, [](Transaction& t) { return t.make<Node>().reference(); });
  const int status = in_child([&] {
    Memory mine = Memory::open(file_.path());
    Transaction t(mine);
    t.Begin();
    t.open<Node>(node)->value = 9;
    raise(SIGKILL);
    return 0;
  });
  EXPECT_TRUE(WIFSIGNALED(status));
  atomically(memory_, [&](Transaction& t) { EXPECT_EQ(t.open<Node>(node)->value, 0u); });
  EXPECT_EQ(memory_.report().recovered, 1u);
}

TEST_P(Interface, AForkedChildOpensTheMemoryAnew) {
  const int status = in_child([this] {
    Transaction t(memory_);
    const Status refused = status_of([&] { t.Begin(); });
    Memory mine = Memory::open(file_.path());
    Transaction own(mine);
    own.Begin();
    new Node;
    own.Commit();
    return refused == Status::kDetached ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
}

TEST_P(Interface, SizesThatCannotBe) {
  Transaction t(memory_);
  t.Begin();
  EXPECT_EQ(status_of([&] { t.allocate(0); }), Status::kEmpty);
  EXPECT_EQ(status_of([&] { t.allocate(uint64_t{1} << 40); }), Status::kTooLarge);
  EXPECT_EQ(status_of([&] { t.allocate(~uint64_t{0}); }), Status::kTooLarge);
  Status last = Status::kOk;
  int made = 0;
  while (last == Status::kOk) {
    last = status_of([&] { t.allocate(100'000); });
    ++made;
  }
  EXPECT_EQ(last, Status::kFull);
  EXPECT_GT(made, 5);
  EXPECT_TRUE(t.active()) << "no room is no violation";
  t.Abort();
  t.Begin();
  t.allocate(500'000);
  t.Commit();
}

TEST_P(Interface, ABoardThatIsLaidOutInAnotherWayIsNotShared) {
  const uint64_t board = 2 * memory_.report().bank_size_bytes;
  const int file = open(file_.path().c_str(), O_RDWR);
  uint64_t ready = 0, other = 0x1234;
  ASSERT_EQ(pread(file, &ready, sizeof(ready), static_cast<off_t>(board)), 8);
  ASSERT_EQ(pwrite(file, &other, sizeof(other), static_cast<off_t>(board)), 8);
  EXPECT_NE(status_of([&] { Memory::open(file_.path()); }), Status::kOk);
  ASSERT_EQ(pwrite(file, &ready, sizeof(ready), static_cast<off_t>(board)), 8);
  close(file);
  EXPECT_EQ(status_of([&] { Memory::open(file_.path()); }), Status::kOk);
}

TEST_P(Interface, EachHasItsMode) {
  EXPECT_EQ(memory_.mode(), GetParam());
  EXPECT_EQ(memory_.report().mode, GetParam());
}

std::string mode_name(const testing::TestParamInfo<Mode>& info) { return name_of(info.param); }
INSTANTIATE_TEST_SUITE_P(Modes, Interface,
                         testing::Values(Mode::kChecked, Mode::kWindow, Mode::kIsolated),
                         mode_name);

}  // namespace
}  // namespace auxin::stm
