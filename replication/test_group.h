// SPDX-License-Identifier: Apache-2.0
//
// For this room's tests: the stable memory of a group, and processes that are its replicas.
//
// A replica's state is one per process (replica.h, replay.h, the counts of ordered sections), so
// each body runs in a child process, which joins the group and ends with the body. Expectations in
// a body count: the child says so by its end.
#pragma once

#include <gtest/gtest.h>
#include <stdio.h>

#include <string>
#include <utility>

#include "replication/activity.h"
#include "replication/group_state.h"
#include "replication/replay.h"
#include "replication/replica.h"
#include "stmemu/test_memory.h"

namespace auxin::replication {

// Without landing buffers: nothing here receives.
inline constexpr stm::Layout kTestLayout = {kLandingOffset, 1 << 16, 1 << 23};

class TestGroup {
 public:
  explicit TestGroup(const stm::Layout& layout = kTestLayout)
      : path_(directory_.file("group")), memory_(create(path_, layout)), log_(memory_) {
    stm::StableLog::format(memory_);
    control().leader.store(-1);
    control().rejoin_possible.store(1);
    control().supervisor.format();
    control().leadership.format();
    for (ReplicaSlot& slot : control().replicas) slot.life.format();
    for (auto& threads : control().threads)
      for (ThreadSlot& thread : threads) thread.life.format();
    Settings& settings = control().settings;
    settings.style = Style::kSemiActive;
    control().style.store(Style::kSemiActive);
    settings.replica_count = 3;
    settings.lag_bound_entries = 1 << 20;
    settings.stall_ms = 600'000;
    settings.hang_ms = 600'000;
  }

  GroupControl& control() { return *static_cast<GroupControl*>(memory_.control()); }
  stm::StableLog& log() { return log_; }
  std::string file(const std::string& name) const { return directory_.file(name); }

  // Runs `body` as replica `id`, which follows from the log's begin, or leads. 0: all expectations
  // of the body were met. 1: not. Minus a signal: that ended the process.
  template <typename Body>
  int run_follower(int id, Body body) {
    return run(id, [&body] {
      replay.start(replica->log().begin());
      replica->slot().role.store(Role::kFollower);
      replica->set_mode(Mode::kFollower);
      body();
    });
  }
  template <typename Body>
  int run_leader(int id, Body body) {
    return run(id, [&body] {
      replica->slot().role.store(Role::kLeader);
      replica->set_mode(Mode::kLeader);
      body();
    });
  }

 private:
  static stm::StableMemory create(const std::string& path, const stm::Layout& layout) {
    auto made = stm::StableMemory::create(path, layout, kControlVersion);
    if (!made) {
      fprintf(stderr, "%s\n", made.error().c_str());
      std::abort();
    }
    return std::move(made.value());
  }

  template <typename Body>
  int run(int id, Body body) {
    fflush(nullptr);
    return stm::end_of(stm::in_child([&] {
      if (Replica::join(path_.c_str(), id) == nullptr) return 1;
      body();
      fflush(nullptr);
      return testing::Test::HasFailure() ? 1 : 0;
    }));
  }

  stm::TestDirectory directory_;
  std::string path_;
  stm::StableMemory memory_;
  stm::StableLog log_;
};

// What a leader becomes after its predecessor: the last steps of a promotion.
inline void lead_from_here() {
  replica->set_mode(Mode::kLeader);
  replay.wake_everything();
}

// A decision as a leader logs it; `number` is the test's own.
inline stm::LogEntry decision_of(uint64_t activity, uint32_t step, uint64_t number) {
  stm::LogEntry entry{};
  entry.kind = kValue;
  entry.call = static_cast<uint16_t>(ValueForm::kRand);
  entry.activity = activity;
  entry.step = step;
  entry.number = number;
  return entry;
}

}  // namespace auxin::replication
