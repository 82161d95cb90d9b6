// SPDX-License-Identifier: Apache-2.0
//
// The server's side: one thread polls all connections and queues the requests it reads, a pool of
// four workers serves them, and a beat closes connections that nobody uses.
//
//   poller ──▶ queue ──▶ worker ──▶ registry ──▶ servant ──▶ reply
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "ferry/connection.h"
#include "ferry/registry.h"

namespace ferry {

class RequestQueue {
 public:
  void put(Request request);
  Request take();  // waits for one

 private:
  Lock lock_;
  Signal filled_;
  std::deque<Request> requests_;
};

class Server {
 public:
  // Listens from now on, on this port of the loopback (0: any). Throws std::system_error.
  explicit Server(uint16_t port);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const { return port_; }
  Registry& registry() { return registry_; }
  // Never returns.
  [[noreturn]] void run();
  void serve(Request& request);  // a worker's work

 private:
  void poll_once();
  void accept_all();
  void beat();

  int listener_ = -1;
  uint16_t port_ = 0;
  Registry registry_;
  RequestQueue queue_;
  Lock connections_lock_;
  std::map<int, std::shared_ptr<Connection>> connections_;
  Lock statistics_lock_;
  uint64_t served_ = 0, refused_ = 0;
};

}  // namespace ferry
