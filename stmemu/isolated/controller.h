// SPDX-License-Identifier: Apache-2.0
//
// The controller of an isolated memory (paper 001, §2.2: the STM's "intelligent controller which
// implements transactions using a two phase commit protocol"): the one process that can store into
// the banks. Clients see the banks read-only, work on copies in their session's view, and ask.
//
// A commit is judged before anything is stored: each object must be under the claim of the asking
// transaction, and of the version that it saw. So whatever a client's wild stores do to view,
// channel or claims, a commit happens as a transaction on sound objects, or not at all.
//
// A controller that dies leaves the banks as any program does; the next one recovers them and takes
// the sessions over. A request that was under way: if its descriptor's serial has moved on, it was
// carried out, or undone, as the state word says; else it is carried out now. Exactly once.
//
// Thread safety: run() in one thread, stop() from any, and from signal handlers.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "stmemu/isolated/channel.h"
#include "stmemu/transaction/activation.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {

struct ControllerOptions {
  bool spin = false;               // never sleep: a processor of its own, the shortest commits
  uint64_t idle_before_sleep_us = 50;
};

class Controller {
 public:
  // Attaches the memory, recovers it and listens. Refuses a memory that has a controller.
  static Result<std::unique_ptr<Controller>> make(const std::string& path,
                                                  const ControllerOptions& options = {});
  ~Controller();
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  // Serves until stop(). By the thread that made it.
  void run();
  void stop();

  const Findings& findings() const { return findings_; }
  PhysicalMemory& memory() { return memory_; }

 private:
  struct Session {
    int socket = -1;
    ino_t inode = 0;                        // of the client's memory
    char* base = nullptr;
    uint64_t served[kChannels] = {};        // the last request answered
    uint64_t hints[kChannels] = {};         // looked at
    std::vector<Change> changes[kChannels]; // of requests in parts
    uint32_t highest = 0;                   // channels in use are below it

    Channel& channel(uint32_t index) const {
      return *reinterpret_cast<Channel*>(base + kChannelsOffset + index * kChannelBytes);
    }
  };

  explicit Controller(const ControllerOptions& options) : options_(options) {}
  Result<bool> listen(const std::string& path);
  void accept_clients();
  void welcome(int socket);
  void take_in(std::unique_ptr<Session> session);
  void drop(Session& session);
  bool serve_all();
  void take_hint(Session& session, uint32_t index);
  void serve(Session& session, uint32_t index);
  Status serve_request(Session& session, uint32_t index, uint64_t* result);
  Status open_channel(Channel& channel);
  Status make_channel_descriptor(uint64_t* address);
  Status commit(Session& session, uint32_t index, uint64_t* result);
  void sleep();

  ControllerOptions options_;
  PhysicalMemory memory_;
  Findings findings_;
  std::unique_ptr<Activation> activation_;
  int listener_ = -1;
  int wake_acceptor_ = -1;
  std::string socket_path_;
  std::thread acceptor_;
  std::mutex arrivals_mutex_;
  std::vector<std::unique_ptr<Session>> arrivals_;  // under arrivals_mutex_
  std::vector<int> departures_;                     // sockets; under arrivals_mutex_
  std::atomic<bool> news_{false};                   // something stands in the two
  std::vector<std::unique_ptr<Session>> sessions_;  // run()'s
  JudgedAhead ahead_;
  std::atomic<bool> stopping_{false};
};

}  // namespace auxin::stm
