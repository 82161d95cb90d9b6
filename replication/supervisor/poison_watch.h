// SPDX-License-Identifier: Apache-2.0
//
// Finds the request that kills every replica.
//
// A replica that crashes leaves behind which requests its threads were in. Two crashes that have a
// request in common point at it: replayed, it would kill the next replica too, for ever. A request
// that a living replica has been in for a good while is not the cause (it merely takes long: a
// client that waits for an event), and is no longer suspected.
//
// Only crashes by the program's own fault count: SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL.
//
// Thread safety: one thread. Times in ms on any steady clock.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace auxin::supervisor {

struct RequestInHand {
  uint64_t activity;       // replication/activity.h; only requests are given
  uint64_t log_position;   // of its last entry
  uint32_t request_id;
  std::string operation;   // "": not known
};

struct Crash {
  int replica;
  uint32_t incarnation;
  int signal;
  std::vector<RequestInHand> requests;
};

struct Poison {
  RequestInHand request;
  Crash first, second;
};

// The signal is a crash of the program's own making.
bool is_crash_signal(int signal);

class PoisonWatch {
 public:
  static constexpr int64_t kHarmlessAfterMs = 10000;

  // A crash; the request that it has in common with an earlier one of another incarnation.
  std::optional<Poison> crashed(const Crash& crash);

  // Nothing is suspected: living replicas need not be looked at.
  bool idle() const { return suspects_.empty(); }

  // A look at a living replica, to be given every second or so while not idle.
  void alive(int replica, uint32_t incarnation, const std::vector<RequestInHand>& requests,
             int64_t now_ms);

 private:
  struct Suspect {
    Crash crash;
    std::map<int, std::pair<uint32_t, int64_t>> seen_since_ms;  // replica: incarnation, when
  };
  std::map<uint64_t, Suspect> suspects_;  // by activity
};

// "request 7 (withdraw) on connection 3 (log position 1042) killed replica 0 by SIGSEGV and …".
std::string describe(const Poison& poison);

}  // namespace auxin::supervisor
