// SPDX-License-Identifier: Apache-2.0
//
// The names of activities, and which one a thread works for.
#include "replication/activity.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

namespace auxin::replication {
namespace {

int times_resolved = 0;
uint64_t known_identity = 0;

uint64_t resolve() {
  ++times_resolved;
  return known_identity;
}

class ActivityTest : public testing::Test {
 protected:
  ActivityTest() {
    set_thread_activity(kMainActivity);
    times_resolved = 0;
    known_identity = 0;
  }
  ~ActivityTest() override { set_thread_activity(0); }
};

TEST_F(ActivityTest, ARequestsNameHoldsConnectionAndOrdinal) {
  const uint64_t last_ordinal = (1ull << kOrdinalBits) - 1;
  const uint64_t last_connection = (1ull << (63 - kOrdinalBits)) - 1;
  for (const uint64_t connection : {uint64_t{1}, uint64_t{4097}, last_connection}) {
    for (const uint64_t ordinal : {uint64_t{0}, uint64_t{7}, last_ordinal}) {
      const uint64_t id = request_activity_id(connection, ordinal);
      EXPECT_TRUE(is_request(id));
      EXPECT_EQ(activity_connection(id), connection);
      EXPECT_EQ(activity_ordinal(id), ordinal);
    }
  }
  EXPECT_FALSE(is_request(0));
  EXPECT_FALSE(is_request(kMainActivity));
}

TEST_F(ActivityTest, ThreadsOfOneTreeHaveNamesOfTheirOwn) {
  std::set<uint64_t> names = {kMainActivity};
  const auto add_children_of = [&names](uint64_t parent) {
    for (uint32_t ordinal = 1; ordinal <= 64; ++ordinal) {
      const uint64_t id = thread_activity_id(parent, ordinal);
      EXPECT_FALSE(is_request(id));
      EXPECT_TRUE(names.insert(id).second) << "child " << ordinal << " of " << std::hex << parent;
    }
  };
  add_children_of(kMainActivity);
  for (uint32_t child = 1; child <= 8; ++child)
    add_children_of(thread_activity_id(kMainActivity, child));
  add_children_of(request_activity_id(1, 1));
  add_children_of(request_activity_id(1, 2));
}

TEST_F(ActivityTest, ARequestsIdentityIsAskedForWhenItIsNeededUntilItIsKnown) {
  begin_request(resolve);
  EXPECT_TRUE(in_request());
  EXPECT_EQ(times_resolved, 0);
  EXPECT_EQ(current_activity()->id, 0u) << "not yet known";
  known_identity = request_activity_id(3, 1);
  EXPECT_EQ(current_activity()->id, known_identity);
  EXPECT_EQ(current_activity()->id, known_identity);
  EXPECT_EQ(times_resolved, 2) << "once it is known it stays";
  end_request();
}

TEST_F(ActivityTest, AfterARequestTheThreadGoesOnWithItsOwnActivity) {
  current_activity()->step = 5;
  for (const uint64_t ordinal : {1, 2}) {
    known_identity = request_activity_id(3, ordinal);
    begin_request(resolve);
    EXPECT_EQ(current_activity()->id, known_identity);
    EXPECT_EQ(current_activity()->step, 0u) << "each request counts from the start";
    current_activity()->step = 9;
    end_request();
    EXPECT_FALSE(in_request());
    EXPECT_EQ(current_activity()->id, kMainActivity);
    EXPECT_EQ(current_activity()->step, 5u);
  }
}

TEST_F(ActivityTest, AnotherThreadWorksForNothingAtFirst) {
  known_identity = request_activity_id(3, 1);
  begin_request(resolve);
  std::thread([] {
    EXPECT_FALSE(in_request());
    EXPECT_EQ(current_activity()->id, 0u);
  }).join();
  end_request();
}

}  // namespace
}  // namespace auxin::replication
