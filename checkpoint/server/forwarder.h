// SPDX-License-Identifier: Apache-2.0
//
// Hands on what a server keeps to another server or receiver, in a thread of its own. What the
// other one has is asked of it, so whoever of the two restarts, it goes on from there.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "checkpoint/server/kept_states.h"
#include "checkpoint/server/peer_stores.h"

namespace auxin::checkpoint {

class Forwarder {
 public:
  // Begins with what is kept already. `tell`: a sentence about what could not be handed on.
  Forwarder(std::string to, RemoteOptions options, KeptStates* states,
            std::function<void(const std::string&)> tell);
  // Does not wait for what has not been handed on.
  ~Forwarder();

  // There is something new under this name. May be called under the state's lock.
  void notify(const std::string& name);

 private:
  void run();
  Outcome forward(const std::string& name);
  Outcome catch_up(KeptState& state, RemoteStore& other);

  KeptStates* const states_;
  PeerStores peers_;
  const std::function<void(const std::string&)> tell_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> waiting_;
  std::atomic<bool> ends_{false};
  std::thread thread_;
};

}  // namespace auxin::checkpoint
