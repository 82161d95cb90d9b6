// SPDX-License-Identifier: Apache-2.0
//
// Decisions: what a leader logs of them, and what a follower that does something else says.
#include "replication/decision.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <string>

#include "replication/contention_identity.h"
#include "replication/test_group.h"

namespace auxin::replication {
namespace {

const uint64_t kRequest = request_activity_id(3, 7);
constexpr uint64_t kTag = os::kTagMagic | os::kTagContentionPoint | uint64_t{5} << 32;

// Two places in this program's text.
void one_place() {}
void another_place() {}
const os::CallSite kSite{reinterpret_cast<const void*>(&one_place)};
const os::CallSite kOtherSite{reinterpret_cast<const void*>(&another_place)};

stm::LogEntry logged_at(uint64_t position) {
  stm::LogEntry entry{};
  EXPECT_EQ(replica->log().read(position, &entry), stm::StableLog::Read::kEntry);
  return entry;
}

// The leader's side of most tests: the request takes one mutex, new to all.
void lock_as_leader(uint64_t& tag) {
  set_thread_activity(kRequest);
  stm::LogEntry none;
  Decision decision(kSite);
  ASSERT_FALSE(decision.replay(&none));
  const uint32_t identity = identity_for_log(std::atomic_ref<uint64_t>(tag), decision);
  ASSERT_TRUE(decision.begin_logging());
  decision.log_acquire(identity, 1, AcquireForm::kMutex, 0);
}

TEST(Decision, ALeadersAreNumberedWithinTheirActivity) {
  TestGroup group;
  EXPECT_EQ(group.run_leader(0, [] {
    const uint64_t activities[] = {kRequest, kMainActivity};
    for (uint32_t step = 1; step <= 3; ++step) {
      for (const uint64_t activity : activities) {
        if (step == 1) set_thread_activity(activity);
        begin_request([]() -> uint64_t { return kRequest; });
        if (activity == kMainActivity) end_request();
        current_activity()->step = step - 1;
        Decision decision(kSite);
        stm::LogEntry none;
        EXPECT_TRUE(decision.named());
        EXPECT_FALSE(decision.replay(&none));
        EXPECT_TRUE(decision.begin_logging());
        const stm::LogEntry entry = logged_at(decision.log_value(ValueForm::kClock, 11, 12, 13));
        EXPECT_EQ(entry.activity, activity);
        EXPECT_EQ(entry.step, step);
        EXPECT_EQ(entry.kind, kValue);
        EXPECT_EQ(entry.call, static_cast<uint16_t>(ValueForm::kClock));
        EXPECT_EQ(entry.object, 11u);
        EXPECT_EQ(entry.number, 12u);
        EXPECT_EQ(entry.flags, 13u);
      }
    }
  }), 0);
}

TEST(Decision, ACallSiteIsLoggedRelativeToItsModule) {
  TestGroup group;
  EXPECT_EQ(group.run_leader(0, [] {
    Dl_info module;
    ASSERT_NE(dladdr(kSite.address, &module), 0);
    for (const os::CallSite& site : {kSite, kOtherSite, kSite}) {
      EXPECT_EQ(Decision(site).site_offset(), reinterpret_cast<uintptr_t>(site.address) -
                                                  reinterpret_cast<uintptr_t>(module.dli_fbase));
    }
  }), 0);
}

TEST(Decision, AFollowerTakesTheLeadersAndGoesOnFromThereWhenItLeads) {
  TestGroup group;
  const std::string bytes = "sixteen and some";
  EXPECT_EQ(group.run_leader(0, [&bytes] {
    set_thread_activity(kRequest);
    stm::LogEntry none;
    for (uint32_t step = 1; step <= 3; ++step) {
      Decision decision(kSite);
      EXPECT_FALSE(decision.replay(&none));
      EXPECT_TRUE(decision.begin_logging());
      decision.log_bytes(ValueForm::kRandomBytes, bytes.data(),
                         static_cast<uint32_t>(bytes.size()), step);
    }
  }), 0);
  EXPECT_EQ(group.run_follower(1, [&bytes] {
    set_thread_activity(kRequest);
    for (uint32_t step = 1; step <= 3; ++step) {
      Decision decision(kSite);
      stm::LogEntry logged;
      ASSERT_TRUE(decision.replay(&logged));
      decision.expect(logged, ValueForm::kRandomBytes);
      EXPECT_EQ(logged.object, step);
      EXPECT_EQ(std::string(replica->log().payload_at(logged.payload_offset),
                            logged.payload_size_bytes), bytes);
      decision.done();
      EXPECT_EQ(replay.low(), step);
    }
    lead_from_here();
    Decision decision(kSite);
    stm::LogEntry none;
    EXPECT_FALSE(decision.replay(&none));
    EXPECT_TRUE(decision.begin_logging());
    EXPECT_EQ(logged_at(decision.log_value(ValueForm::kRand, 0, 0, 0)).step, 4u);
    EXPECT_EQ(live_state_now(), LiveState::kFree);
  }), 0);
}

// A process restored from an image that was taken of a leader between its deciding and its logging.
TEST(Decision, WhatWasNotLoggedWhenTheImageWasTakenIsFollowed) {
  TestGroup group;
  EXPECT_EQ(group.run_leader(0, [] {
    set_thread_activity(kRequest);
    stm::LogEntry none;
    Decision decision(kSite);
    EXPECT_FALSE(decision.replay(&none));
    EXPECT_TRUE(decision.begin_logging());
    decision.log_value(ValueForm::kRand, 77, 0, 0);
  }), 0);
  EXPECT_EQ(group.run_follower(1, [] {
    set_thread_activity(kRequest);
    replica->set_mode(Mode::kLeader);  // as it was when the image was taken
    Decision decision(kSite);
    stm::LogEntry logged;
    EXPECT_FALSE(decision.replay(&logged));
    replica->set_mode(Mode::kFollower);
    EXPECT_FALSE(decision.begin_logging());
    EXPECT_EQ(live_state_now(), LiveState::kFree);
    ASSERT_TRUE(decision.replay(&logged)) << "the same step once more";
    EXPECT_EQ(logged.object, 77u);
    decision.done();
  }), 0);
}

TEST(ContentionIdentity, IsTheLeadersInEveryReplicaAndStays) {
  TestGroup group;
  EXPECT_EQ(group.run_leader(0, [] {
    uint64_t tag = kTag;
    lock_as_leader(tag);
    EXPECT_NE(os::tag_identity(tag), 0u);
    EXPECT_EQ(tag & ~os::kTagIdentityMask, kTag) << "the verdict stays";
    const uint64_t before = tag;
    lock_as_leader(tag);
    EXPECT_EQ(tag, before);
    uint64_t other = kTag;
    current_activity()->step = 1;  // the second step of the same activity
    Decision decision(kSite);
    stm::LogEntry none;
    decision.replay(&none);
    identity_for_log(std::atomic_ref<uint64_t>(other), decision);
    EXPECT_NE(os::tag_identity(other), os::tag_identity(tag));
  }), 0);
  EXPECT_EQ(group.run_follower(1, [] {
    set_thread_activity(kRequest);
    uint64_t tag = kTag;
    Decision decision(kSite);
    stm::LogEntry logged;
    ASSERT_TRUE(decision.replay(&logged));
    check_identity(std::atomic_ref<uint64_t>(tag), logged);
    EXPECT_EQ(tag, kTag | logged.object);
    check_identity(std::atomic_ref<uint64_t>(tag), logged);
    EXPECT_EQ(tag, kTag | logged.object);
  }), 0);
}

// A follower that does something else leaves its group at once and says what it did.
class DivergenceTest : public testing::Test {
 protected:
  DivergenceTest() {
    EXPECT_EQ(group_.run_leader(0, [] {
      uint64_t tag = kTag;
      lock_as_leader(tag);
    }), 0);
  }

  template <typename Act>
  void expect_divergence(const std::string& what, Act act) {
    EXPECT_EQ(group_.run_follower(1, [&act] {
      set_thread_activity(kRequest);
      act();
    }), -SIGKILL) << what;
    const ReplicaSlot& slot = group_.control().replicas[1];
    EXPECT_EQ(slot.role.load(), Role::kDiverged);
    const std::string message = slot.message;
    EXPECT_EQ(message.find("replica 1 diverged: "), 0u) << message;
    EXPECT_NE(message.find(what), std::string::npos) << message;
    EXPECT_NE(message.find("in request 7 of connection 3, after"), std::string::npos) << message;
  }

  static stm::LogEntry follow(Decision& decision) {
    stm::LogEntry logged{};
    EXPECT_TRUE(decision.replay(&logged));
    return logged;
  }

  TestGroup group_;
};

TEST_F(DivergenceTest, AnotherFormOfTheCallIsOne) {
  expect_divergence("the leader made another call here", [] {
    Decision decision(kSite);
    decision.expect(follow(decision), AcquireForm::kMutexTry);
  });
}

TEST_F(DivergenceTest, AnotherCallSiteIsOne) {
  expect_divergence("the leader made another call here", [] {
    Decision decision(kOtherSite);
    decision.expect(follow(decision), AcquireForm::kMutex);
  });
}

TEST_F(DivergenceTest, AnotherKindOfDecisionIsOne) {
  expect_divergence("this reads a value of form", [] {
    Decision decision(kSite);
    decision.expect(follow(decision), ValueForm::kClock);
  });
}

TEST_F(DivergenceTest, AnotherObjectIsOne) {
  expect_divergence("it acquires contention point 1234", [] {
    uint64_t tag = kTag | 0x1234;
    Decision decision(kSite);
    check_identity(std::atomic_ref<uint64_t>(tag), follow(decision));
  });
}

TEST_F(DivergenceTest, AStepThatTheLeaderDidNotMakeIsOne) {
  expect_divergence("makes its decision 2 where the leader made its 1", [] {
    current_activity()->step = 1;
    Decision decision(kSite);
    follow(decision);
  });
}

TEST_F(DivergenceTest, AnActivityThatEndsEarlyIsOne) {
  expect_divergence("ended here but made another decision in the leader", [] {
    replay.pump();
    replay.finished(kRequest);
  });
}

}  // namespace
}  // namespace auxin::replication
