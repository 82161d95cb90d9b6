// SPDX-License-Identifier: Apache-2.0
//
// Goal: no change of memory between two looks is missed, and what did not change is not told where
// the method can know.
// Method: small ranges of memory that are changed in one way each; a model in the other test
// (tracked_copy_test.cpp) does it at random.
#include "checkpoint/tracking/page_tracker.h"

#include <gtest/gtest.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "checkpoint/tests/method_under_test.h"
#include "checkpoint/tests/pages.h"

namespace auxin::checkpoint {
namespace {

using test::Pages;

class PageTrackerTest : public testing::Test {
 protected:
  void SetUp() override {
    options_.method = test::method_under_test();
    const TrackingStatus status = tracker_.open(options_);
    if (status == TrackingStatus::kUnavailable) GTEST_SKIP() << tracker_.reason();
    ASSERT_EQ(status, TrackingStatus::kOk);
  }

  struct Look {
    std::vector<PageRun> runs;
    LookReport report;
    // The kind that is told of the page, or -1: nothing.
    int of(const Pages& pages, uint64_t index) const {
      for (const PageRun& run : runs) {
        if (pages.address(index) >= run.begin && pages.address(index) < run.end) {
          return static_cast<int>(run.kind);
        }
      }
      return -1;
    }
  };
  Look look() {
    Look result;
    result.report = tracker_.look({&result.runs, [](void* runs, const PageRun& run) {
                                     static_cast<std::vector<PageRun>*>(runs)->push_back(run);
                                   }});
    for (size_t i = 1; i < result.runs.size(); ++i) {
      EXPECT_LE(result.runs[i - 1].end, result.runs[i].begin) << "ascending, disjoint";
    }
    return result;
  }
  void add(const Pages& pages) {
    ASSERT_EQ(tracker_.add(pages.address(0), pages.address(pages.count())), TrackingStatus::kOk);
  }
  bool tracks() const { return tracker_.method() != TrackingMethod::kFull; }
  // What is told of a page that did not change.
  int unchanged() const { return tracks() ? -1 : static_cast<int>(RunKind::kChanged); }

  static constexpr int kChanged = static_cast<int>(RunKind::kChanged);
  static constexpr int kGone = static_cast<int>(RunKind::kGone);
  TrackerOptions options_;
  PageTracker tracker_;
};

TEST_F(PageTrackerTest, TheFirstLookTellsEverything) {
  Pages pages(16);
  pages.fill(3, 1);
  add(pages);
  const Look first = look();
  EXPECT_EQ(first.report.changed_bytes, 16 * kPageBytes);
  EXPECT_EQ(first.of(pages, 3), kChanged);
  EXPECT_EQ(first.report.fresh_ranges, 1u);
}

TEST_F(PageTrackerTest, LaterLooksTellWhatWasStored) {
  Pages pages(64);
  add(pages);
  look();
  EXPECT_EQ(look().of(pages, 5), unchanged());
  pages.fill(5, 1);
  pages.fill(6, 1);
  pages.fill(40, 1);
  const Look second = look();
  EXPECT_EQ(second.of(pages, 5), kChanged);
  EXPECT_EQ(second.of(pages, 6), kChanged);
  EXPECT_EQ(second.of(pages, 40), kChanged);
  EXPECT_EQ(second.of(pages, 7), unchanged());
  pages.fill(5, 2);
  EXPECT_EQ(look().of(pages, 5), kChanged) << "stored again after the look";
}

TEST_F(PageTrackerTest, StoresOfTheKernelAreTold) {
  Pages pages(8);
  add(pages);
  look();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(write(ends[1], "message", 7), 7);
  // The method that takes stores away (mprotect) makes the kernel refuse: that shows.
  const ssize_t got = read(ends[0], pages.at(2), 7);
  close(ends[0]);
  close(ends[1]);
  if (tracker_.method() == TrackingMethod::kFault) {
    EXPECT_EQ(got, -1);
    return;
  }
  ASSERT_EQ(got, 7);
  EXPECT_EQ(look().of(pages, 2), kChanged);
}

TEST_F(PageTrackerTest, DroppedPagesAreTold) {
  Pages pages(2048);
  for (uint64_t i = 0; i < pages.count(); ++i) pages.fill(i, 7);
  add(pages);
  look();
  look();
  ASSERT_EQ(madvise(pages.at(100), 1200 * kPageBytes, MADV_DONTNEED), 0);
  // Read before the look: pages of zeros are there again.
  EXPECT_EQ(*pages.at(200), 0);
  const Look after = look();
  EXPECT_EQ(after.of(pages, 100), kChanged);
  EXPECT_EQ(after.of(pages, 200), kChanged);
  EXPECT_EQ(after.of(pages, 1299), kChanged);
  EXPECT_EQ(after.of(pages, 99), unchanged());
  pages.fill(700, 1);
  EXPECT_EQ(look().of(pages, 700), kChanged);
}

TEST_F(PageTrackerTest, WhatIsMappedAnewIsToldWholeAndTrackedAgain) {
  Pages pages(64);
  for (uint64_t i = 0; i < pages.count(); ++i) pages.fill(i, 7);
  add(pages);
  look();
  pages.fill(9, 1);
  pages.map_again(10, 4);
  const Look after = look();
  EXPECT_EQ(after.of(pages, 9), kChanged) << "found by the same look, before what is new";
  for (uint64_t i = 10; i < 14; ++i) EXPECT_EQ(after.of(pages, i), kChanged);
  EXPECT_EQ(after.of(pages, 14), unchanged());
  EXPECT_EQ(look().of(pages, 11), unchanged());
  pages.fill(11, 1);
  EXPECT_EQ(look().of(pages, 11), kChanged);
}

TEST_F(PageTrackerTest, WhatIsUnmappedIsGoneUntilItIsMappedAgain) {
  Pages pages(64);
  add(pages);
  look();
  pages.fill(1, 1);
  pages.unmap(20, 3);
  pages.unmap(30, 34);
  pages.fill(29, 1);
  const Look after = look();
  EXPECT_EQ(after.of(pages, 1), kChanged);
  EXPECT_EQ(after.of(pages, 20), kGone);
  EXPECT_EQ(after.of(pages, 22), kGone);
  EXPECT_EQ(after.of(pages, 23), unchanged());
  EXPECT_EQ(after.of(pages, 29), kChanged);
  EXPECT_EQ(after.of(pages, 63), kGone);
  EXPECT_EQ(after.report.gone_bytes, 37 * kPageBytes);
  pages.map_again(20, 3);
  EXPECT_EQ(look().of(pages, 21), kChanged);
}

TEST_F(PageTrackerTest, RangesAreAddedDroppedAndCut) {
  Pages pages(64);
  ASSERT_EQ(tracker_.add(pages.address(0), pages.address(16)), TrackingStatus::kOk);
  ASSERT_EQ(tracker_.add(pages.address(32), pages.address(64)), TrackingStatus::kOk);
  EXPECT_EQ(tracker_.add(pages.address(8), pages.address(9)), TrackingStatus::kOverlap);
  EXPECT_EQ(tracker_.add(pages.address(8) + 1, pages.address(9)), TrackingStatus::kMisaligned);
  look();
  ASSERT_EQ(tracker_.drop(pages.address(4), pages.address(40)), TrackingStatus::kOk);
  ASSERT_EQ(tracker_.drop(pages.address(50), pages.address(52)), TrackingStatus::kOk);
  EXPECT_EQ(tracker_.tracked_range_count(), 3u);
  for (uint64_t i = 0; i < 64; ++i) pages.fill(i, 9);
  const Look after = look();
  EXPECT_EQ(after.of(pages, 3), kChanged);
  EXPECT_EQ(after.of(pages, 4), -1);
  EXPECT_EQ(after.of(pages, 40), kChanged);
  EXPECT_EQ(after.of(pages, 51), -1);
  EXPECT_EQ(after.of(pages, 52), kChanged);
  ASSERT_EQ(tracker_.add(pages.address(4), pages.address(40)), TrackingStatus::kOk);
  EXPECT_EQ(look().of(pages, 20), kChanged) << "added again: told whole";
}

TEST_F(PageTrackerTest, AChildThatGoesOnTracksItsOwnMemory) {
  Pages pages(16);
  add(pages);
  look();
  const pid_t child = fork();
  if (child == 0) {
    const bool whole = look().report.changed_bytes == 16 * kPageBytes;
    pages.fill(3, 4);
    const Look after = look();
    _exit(whole && after.of(pages, 3) == kChanged && after.of(pages, 4) == unchanged() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(look().of(pages, 3), unchanged()) << "the child's stores are the child's";
}

TEST_F(PageTrackerTest, AClosedDescriptorCostsNoChange) {
  Pages pages(16);
  add(pages);
  look();
  pages.fill(2, 1);
  const int fd = tracker_.userfault_descriptor();
  if (fd < 0) GTEST_SKIP() << "this method needs none";
  close(fd);
  EXPECT_EQ(look().of(pages, 2), kChanged);
  pages.fill(3, 1);
  EXPECT_EQ(look().of(pages, 3), kChanged);
}

TEST_F(PageTrackerTest, ARangeThatChangesMuchBecomesDenseAndComesBack) {
  if (tracker_.method() != TrackingMethod::kWpAsync) GTEST_SKIP() << "wp-async only";
  Pages pages(4096);
  add(pages);
  look();
  const auto fill_every = [&](uint64_t step, char with) {
    for (uint64_t i = 0; i < pages.count(); i += step) pages.fill(i, with);
  };
  fill_every(2, 1);
  EXPECT_EQ(look().report.dense_ranges, 0u);
  fill_every(2, 2);
  const Look dense = look();
  EXPECT_EQ(dense.report.dense_ranges, 1u);
  EXPECT_EQ(dense.of(pages, 1), kChanged) << "told whole";
  pages.fill(2001, 3);
  look();
  EXPECT_EQ(look().of(pages, 1), -1) << "tracked again";
  pages.fill(2001, 4);
  EXPECT_EQ(look().of(pages, 2001), kChanged);
}

void** expected_fault = nullptr;

TEST_F(PageTrackerTest, TheApplicationsOwnFaultsReachItsHandler) {
  Pages pages(4), own(1);
  static jmp_buf after;
  struct sigaction action {}, before {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int, siginfo_t* info, void*) {
    *expected_fault = info->si_addr;
    siglongjmp(after, 1);
  };
  void* seen = nullptr;
  expected_fault = &seen;
  // Installed before tracking begins, and once more while it goes on.
  for (int turn = 0; turn < 2; ++turn) {
    if (turn == 0) tracker_.close();
    ASSERT_EQ(sigaction(SIGSEGV, &action, turn == 0 ? &before : nullptr), 0);
    if (turn == 0) {
      ASSERT_EQ(tracker_.open(options_), TrackingStatus::kOk);
      add(pages);
    }
    look();
    ASSERT_EQ(mprotect(own.at(0), kPageBytes, PROT_NONE), 0);
    seen = nullptr;
    if (sigsetjmp(after, 1) == 0) *own.at(0) = 1;
    EXPECT_EQ(seen, own.at(0));
    pages.fill(2, 1);  // is tracked all the same
    EXPECT_EQ(look().of(pages, 2), kChanged);
  }
  tracker_.close();
  sigaction(SIGSEGV, &before, nullptr);
}

}  // namespace
}  // namespace auxin::checkpoint
