// SPDX-License-Identifier: Apache-2.0
//
// Goal: what two runs of one log did differently is found by activity and place, never by address
// or thread, and nothing else is blamed. Method: small traces made by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "analysis/verify/imported_values.h"
#include "analysis/verify/inversions.h"
#include "analysis/verify/open_pairs.h"
#include "analysis/verify/selected_locks.h"

namespace auxin::analysis {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

enum : uint16_t { kLock, kUnlock, kReadLock, kOnce, kSemaphoreWait };
enum : uint32_t { kPut = 1, kLook, kOrbsOwn, kThroughWrapper, kDrawer };
constexpr uint16_t kUpcall = 0;

uint64_t request(uint64_t connection, uint64_t ordinal) { return connection << 36 | ordinal; }
constexpr uint64_t kThread = uint64_t{1} << 63 | 8;

// A trace of two threads, and calls written one after the other.
class Writer {
 public:
  Writer() {
    trace_.calls = {{"pthread_mutex_lock", os::Family::mutex},
                    {"pthread_mutex_unlock", os::Family::mutex},
                    {"pthread_rwlock_rdlock", os::Family::rwlock},
                    {"pthread_once", os::Family::once},
                    {"sem_wait", os::Family::semaphore}};
    trace_.join_points = {{"upcall", "upcall"}};
    frame("Account::put(long)", "server", 0x100);
    frame("Account::look()", "server", 0x200);
    frame("omni::lock()", "liborb.so", 0x300);
    frame("std::mutex::lock()", "server", 0x400);
    frame("Drawer::open()", "libdrawer.so", 0x500);
    trace_.paths = {{}, {0}, {1}, {2, 0}, {3, 0}, {4, 0}};
    trace_.threads.resize(2);
  }

  Writer& works(uint32_t thread, uint64_t activity, const char* operation = "put") {
    trace_.strings.append(operation).push_back('\0');
    const auto at = trace_.strings.size() - strlen(operation) - 1;
    event(thread, recording::kActivity, activity);
    event(thread, recording::kEntered, 0);
    event(thread, recording::kOperation, at);
    return *this;
  }
  Writer& leaves(uint32_t thread) { return event(thread, recording::kLeft, 0); }
  Writer& is(uint32_t thread, uint64_t activity) {
    return event(thread, recording::kActivity, activity);
  }
  Writer& call(uint32_t thread, uint16_t what, uint64_t object, uint32_t path, uint16_t flags = 0) {
    trace_.threads[thread].events.push_back({++clock_, 0, path, object,
                                             static_cast<uint16_t>(what | flags), kUpcall, 0});
    return *this;
  }
  Writer& pass(uint32_t thread, uint64_t object, uint32_t path, uint16_t flags = 0) {
    return call(thread, kLock, object, path, flags).call(thread, kUnlock, object, path);
  }
  const Trace& trace() const { return trace_; }
  Behaviour behaviour() const {
    return find_behaviour(trace_, [](const std::string& library) {
      return library == "liborb.so";
    });
  }

 private:
  void frame(const char* function, const char* object, uint64_t offset) {
    TraceFrame made;
    made.function = function;
    made.object = object;
    made.offset = offset;
    trace_.frames.push_back(made);
  }
  Writer& event(uint32_t thread, uint16_t kind, uint64_t object) {
    trace_.threads[thread].events.push_back({++clock_, 0, 0, object, kind, kUpcall, 0});
    return *this;
  }

  Trace trace_;
  uint64_t clock_ = 0;
};

TEST(Behaviour, NamesTheFunctionBehindALibrarysWrapper) {
  const Writer writer = Writer().is(0, request(1, 1)).pass(0, 0x10, kThroughWrapper);
  const Behaviour found = writer.behaviour();
  ASSERT_THAT(found.sections, SizeIs(1));
  EXPECT_EQ(function_of(writer.trace(), found.sections[0].path), "Account::put");
  EXPECT_FALSE(found.sections[0].middleware);
  EXPECT_EQ(found.sections[0].released, found.sections[0].acquired + 1);
}

TEST(Behaviour, AFailedTryIsNoSection) {
  Writer writer;
  writer.is(0, request(1, 1)).call(0, kLock, 0x10, kPut);
  Trace trace = writer.trace();
  trace.threads[0].events.back().result = 16;  // EBUSY
  EXPECT_THAT(find_behaviour(trace, [](const std::string&) { return false; }).sections, IsEmpty());
}

TEST(Inversions, AreFoundAcrossThreadsAndAddresses) {
  const Writer base = Writer().is(0, request(1, 1)).pass(0, 0x10, kPut)
                          .is(1, request(2, 1)).pass(1, 0x10, kLook);
  const Writer other = Writer().is(0, request(2, 1)).pass(0, 0x777, kLook)
                           .is(1, request(1, 1)).pass(1, 0x777, kPut);
  const auto found = find_inversions(base.behaviour(), other.behaviour(), request(2, 1));
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_TRUE(found[0].touches);
  EXPECT_EQ(base.behaviour().sections[found[0].first].path, uint32_t{kPut});
  EXPECT_EQ(base.behaviour().sections[found[0].second].path, uint32_t{kLook});
  EXPECT_THAT(find_inversions(base.behaviour(), base.behaviour(), request(2, 1)), IsEmpty());
}

TEST(Inversions, CountWhatHadNotComeYet) {
  const Writer base = Writer().is(0, request(1, 1)).pass(0, 0x10, kPut)
                          .is(1, request(2, 1)).pass(1, 0x10, kLook);
  const Writer other = Writer().is(1, request(2, 1)).pass(1, 0x10, kLook);
  EXPECT_THAT(find_inversions(base.behaviour(), other.behaviour(), request(2, 1)), SizeIs(1));
}

TEST(Inversions, AreNeitherOfOrderedLocksNorOfReadersNorTheMiddlewares) {
  const auto run = [](bool swapped, uint16_t what, uint32_t path, uint16_t flags) {
    const uint64_t first = request(swapped ? 2 : 1, 1), second = request(swapped ? 1 : 2, 1);
    return Writer().is(0, first).call(0, what, 0x10, path, flags)
        .is(1, second).call(1, what, 0x10, path, flags).behaviour();
  };
  const auto inversions = [&](uint16_t what, uint32_t path, uint16_t flags) {
    return find_inversions(run(false, what, path, flags), run(true, what, path, flags), 0);
  };
  EXPECT_THAT(inversions(kLock, kPut, 0), SizeIs(1));
  EXPECT_THAT(inversions(kLock, kPut, recording::kOrdered), IsEmpty());
  EXPECT_THAT(inversions(kReadLock, kPut, 0), IsEmpty());
  EXPECT_THAT(inversions(kLock, kOrbsOwn, 0), IsEmpty());
  EXPECT_THAT(inversions(kOnce, kPut, recording::kIntercepted), IsEmpty());
}

TEST(Neighbours, AreThoseBesideOrOnAnotherSide) {
  // 1 before 2 before 3, and a thread; in the other run 1 and 2 overlap.
  const Writer base = Writer().works(0, request(1, 1)).leaves(0).works(0, request(2, 1), "look")
                          .leaves(0).works(0, request(3, 1)).leaves(0)
                          .is(1, kThread).pass(1, 0x10, kPut);
  const Writer other = Writer().works(1, request(1, 1)).works(0, request(2, 1), "look").leaves(0)
                           .leaves(1).works(0, request(3, 1)).leaves(0)
                           .is(1, kThread).pass(1, 0x10, kPut);
  const auto found = find_neighbours(base.behaviour(), other.behaviour(), request(2, 1));
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_EQ(found[0].activity, request(1, 1));
  EXPECT_EQ(found[0].function, "put");
  EXPECT_EQ(found[0].in_base, Relation::kBefore);
  EXPECT_EQ(found[0].in_other, Relation::kSideBySide);
  EXPECT_EQ(found[1].activity, kThread);
  EXPECT_EQ(found[1].function, "Account::put");
  EXPECT_THAT(find_neighbours(base.behaviour(), base.behaviour(), request(3, 1)), SizeIs(1));
}

TEST(Neighbours, OneOrderedLockKeepsApartUnlessItIsOnlyRead) {
  const auto between = [](uint16_t what) {
    const Behaviour run = Writer().works(0, request(1, 1))
        .call(0, what, 0x10, kPut, recording::kOrdered).works(1, request(2, 1))
        .call(1, what, 0x10, kPut, recording::kOrdered).leaves(0).leaves(1).behaviour();
    return find_neighbours(run, run, request(1, 1)).at(0).ordered_between;
  };
  EXPECT_TRUE(between(kLock));
  EXPECT_FALSE(between(kReadLock));
  EXPECT_FALSE(between(kSemaphoreWait));
}

TEST(Neighbours, AThreadThatOnlyWaitsIsAtRest) {
  const auto rests = [](bool calls_later) {
    Writer writer;
    writer.is(1, kThread).pass(1, 0x10, kPut).works(0, request(1, 1)).leaves(0);
    if (calls_later) writer.pass(1, 0x10, kPut);
    const Behaviour run = writer.behaviour();
    return find_neighbours(run, run, request(1, 1)).at(0).at_rest;
  };
  EXPECT_TRUE(rests(false));
  EXPECT_FALSE(rests(true));
}

TEST(SelectedLocks, AreOneWhereverTheirObjectsAndSitesMeet) {
  const uint16_t ordered = recording::kOrdered;
  const Writer writer = Writer().is(0, request(1, 1)).pass(0, 0x10, kPut, ordered)
                            .pass(0, 0x20, kPut, ordered).is(1, request(2, 1))
                            .pass(1, 0x20, kLook, ordered).pass(1, 0x30, kDrawer, ordered)
                            .pass(1, 0x40, kThroughWrapper);
  const auto locks = find_selected_locks(writer.trace(), writer.behaviour());
  ASSERT_THAT(locks, SizeIs(2));
  EXPECT_THAT(locks[0].functions, ElementsAre("Account::look", "Account::put"));
  EXPECT_THAT(locks[0].sites, ElementsAre("server+0x100", "server+0x200"));
  EXPECT_EQ(locks[0].acquisitions, 3u);
  EXPECT_EQ(locks[0].objects, 2u);
  EXPECT_EQ(locks[0].activities, 2u);
  EXPECT_THAT(locks[1].functions, ElementsAre("Drawer::open"));
  EXPECT_EQ(locks[1].activities, 1u);
}

// One holds the drawer at the contention point; the other needs the drawer before its own.
Writer drawer_at_a_point(uint64_t others_drawer, bool others_point_follows) {
  const uint16_t ordered = recording::kOrdered;
  Writer writer;
  writer.works(0, request(1, 1)).call(0, kLock, 0x10, kDrawer).pass(0, 0x20, kPut, ordered)
      .call(0, kUnlock, 0x10, kDrawer).leaves(0);
  writer.works(1, request(2, 1), "take");
  if (!others_point_follows) writer.pass(1, 0x20, kLook, ordered);
  writer.pass(1, others_drawer, kDrawer);
  if (others_point_follows) writer.pass(1, 0x20, kLook, ordered);
  return writer.leaves(1);
}

TEST(OpenPairs, AreAPointUnderALockThatAnotherNeedsFirst) {
  const Writer writer = drawer_at_a_point(0x10, true);
  const auto pairs = find_open_pairs(writer.trace(), writer.behaviour());
  ASSERT_THAT(pairs, SizeIs(1));
  EXPECT_EQ(pairs[0].outer_function, "Drawer::open");
  EXPECT_EQ(pairs[0].inner_function, "Account::put");
  EXPECT_THAT(pairs[0].others, ElementsAre("take"));
  EXPECT_EQ(pairs[0].times, 1u);
}

TEST(OpenPairs, AreNotWhereTheDrawerIsItsOwnOrThePointComesBefore) {
  const Writer own = drawer_at_a_point(0x11, true), before = drawer_at_a_point(0x10, false);
  EXPECT_THAT(find_open_pairs(own.trace(), own.behaviour()), IsEmpty());
  EXPECT_THAT(find_open_pairs(before.trace(), before.behaviour()), IsEmpty());
}

// A lock on a thread's stack has the address of the one before it.
TEST(OpenPairs, NeedTwoThreads) {
  const uint16_t ordered = recording::kOrdered;
  Writer writer;
  for (const uint64_t activity : {request(1, 1), request(1, 2)}) {
    writer.works(0, activity).call(0, kLock, 0x10, kDrawer).pass(0, 0x20, kPut, ordered)
        .call(0, kUnlock, 0x10, kDrawer).leaves(0);
  }
  EXPECT_THAT(find_open_pairs(writer.trace(), writer.behaviour()), IsEmpty());
}

TEST(ImportedValues, AreReadFromTheProgramsFile) {
  EXPECT_THAT(imported_values({OWN_PROCESSOR_TIME_PROGRAM}), Contains("clock"));
  EXPECT_THAT(imported_values({"/nonexistent", "/etc/passwd"}), IsEmpty());
}

}  // namespace
}  // namespace auxin::analysis
