// SPDX-License-Identifier: Apache-2.0
//
// The group's checkpoints: one is asked of a follower, published when it is complete, and the one
// but last is removed. A replica that starts again begins with the newest one whose place the log
// still holds.
//
//   STATE/checkpoints/N/0.segment   the image of a follower; N counts up
//
// The supervisor may die at any step: an image without its commit record is none and is removed;
// a complete one that was not published yet is found by the next supervisor.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/process/image_format.h"
#include "replication/supervisor/group_memory.h"
#include "stmemu/result.h"

namespace auxin::supervisor {

struct CheckpointSummary {
  uint64_t number;
  uint64_t log_position;
  uint64_t size_bytes;
  uint64_t made_realtime_ns;
  uint32_t thread_count, descriptor_count;
  std::string program;
  std::vector<std::string> segments;   // paths, oldest first
};

// Those in a group's directory that are complete, by number. Reads headers and commit records only.
std::vector<CheckpointSummary> list_checkpoints(const std::string& directory);

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
  // One step; what happened, for people. `runs`: by replica, whether it does.
  std::optional<News> look(const bool (&runs)[replication::kMaxReplicas], int64_t now_ms);
  const std::string& obstacle_to_followers() const { return obstacle_; }
  bool tried() const { return tried_; }  // one was complete, or told why not
  bool busy() const { return number_ != 0 || waits_since_ms_; }

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
  void ask(uint64_t number, int64_t now_ms);
  // `lasting`: the next one will be refused for the same reason.
  std::optional<News> end(const std::string& fault, bool lasting = false);
  void publish(const CheckpointSummary& checkpoint);
  std::string obstacle() const;
  uint64_t position_of(const CheckpointSummary& checkpoint) const;
  void remove_older_than(uint64_t number);

  GroupMemory& memory_;
  std::string directory_;
  std::string obstacle_;
  uint64_t distrusted_ = 0;      // this one and all before it
  uint64_t next_ = 1;
  uint64_t number_ = 0;          // being made; 0: none
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
