// SPDX-License-Identifier: Apache-2.0
//
// The group's checkpoints: one is asked of a follower, published when it is complete, and the one
// but last is removed. A replica that starts again begins with the newest one whose place the log
// still holds.
//
// Each is a base, or what changed since the one before: as long as the same process takes them, as
// the chain is short and small against its base. Files: checkpoint_store.h.
//
// The supervisor may die at any step: an image without its commit record is none and is removed;
// a complete one that was not published yet is found by the next supervisor.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "replication/supervisor/checkpoint_store.h"
#include "replication/supervisor/group_memory.h"

namespace auxin::supervisor {

class Checkpoints {
 public:
  // `state_directory`: the group's. `obstacle`: why this group can have none as long as several of
  // its replicas execute, as a sentence; "".
  Checkpoints(GroupMemory& memory, const std::string& state_directory, std::string obstacle);

  struct News {
    bool good;
    bool asked;   // by the command, and not only due
    std::string text;
  };
  // Called with each new one before the log is released up to it.
  void before_publishing(std::function<void(const CheckpointSummary&)> listener) {
    listener_ = std::move(listener);
  }
  // One step; what happened, for people. `runs`: by replica, whether it does.
  std::optional<News> look(const bool (&runs)[replication::kMaxReplicas], int64_t now_ms);
  const std::string& obstacle_to_followers() const { return obstacle_; }
  bool tried() const { return tried_; }  // one was complete, or told why not
  bool busy() const { return number_ != 0 || waits_since_ms_; }

  // They are taken by themselves, and nothing is known that stands in their way.
  bool go_on() const;

  // What a replica can begin with now; nothing: there is none that the log reaches back to.
  std::optional<CheckpointSummary> usable() const;
  // Nobody runs: the group's history goes on from this one, at the log's end; all later ones are
  // removed, and nobody goes through what the log holds now.
  void go_back_to(const CheckpointSummary& checkpoint);
  // A replica that began with it did not come to life: it is not used again.
  void distrust(uint64_t number);

 private:
  struct Measure {   // of how much has gone by
    int64_t now_ms;
    uint32_t epoch;
    uint64_t requests, entries, payload_bytes;
  };
  Measure measure(int64_t now_ms) const;
  bool due(const Measure& now) const;
  uint64_t automatic_interval_s(int64_t now_ms) const;
  int choose(const bool (&runs)[replication::kMaxReplicas]) const;
  std::optional<News> begin(int64_t now_ms);
  bool can_be_delta() const;
  void note_link(const CheckpointSummary& made);
  void ask(uint64_t number, uint64_t image, int64_t now_ms);
  // `lasting`: the next one will be refused for the same reason.
  std::optional<News> end(const std::string& fault, bool lasting = false);
  void publish(const CheckpointSummary& checkpoint);
  std::string obstacle() const;
  uint64_t position_of(const CheckpointSummary& checkpoint) const;

  GroupMemory& memory_;
  std::string directory_;
  std::string obstacle_;
  uint64_t distrusted_ = 0;      // this one and all before it
  uint64_t next_ = 1;
  uint64_t number_ = 0;          // being made; 0: none
  uint64_t image_ = 0;           // … its base
  struct Link {                  // the newest one, which a delta could follow
    uint64_t number = 0;         // 0: none
    uint64_t base = 0;
    int replica = -1;
    uint32_t incarnation = 0;
    uint64_t base_bytes = 0, delta_bytes = 0;
  };
  Link link_;
  std::function<void(const CheckpointSummary&)> listener_;
  uint64_t answers_ = 0;         // how many requests of the command it answers
  double cost_s_ = 0;            // how long the latest one had a replica stand still
  int64_t began_ms_ = 0;         // … with this supervisor, and how many takeovers there were then
  uint32_t takeovers_before_ = 0;
  bool tried_ = false;
  bool looked_ = false;          // whether there can be any
  int replica_ = -1;
  uint32_t incarnation_ = 0;
  int64_t deadline_ms_ = 0;
  std::optional<int64_t> waits_since_ms_;  // somebody asked, and no follower is close
  std::optional<Measure> last_;  // when one was last tried, or this supervisor began
  std::string last_fault_;       // told once, not every time
};

}  // namespace auxin::supervisor
