// SPDX-License-Identifier: Apache-2.0
//
// A checkpoint service: listens, and has a conversation with each process that connects.
//
//     accept ─► who is it? (Unix: same user; TCP: loopback, or the secret) ─► a thread: session.h
//
// Used by the server of a host (states in a directory) and by a receiver within a process (images
// in its memory).
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "checkpoint/server/kept_states.h"
#include "checkpoint/server/partial_transfers.h"
#include "checkpoint/transport/connection.h"

namespace auxin::checkpoint {

struct ServiceOptions {
  std::string address;
  std::string secret;  // empty: none; without it TCP is for this host only
  uint64_t max_message_bytes = uint64_t{1} << 30;
  uint64_t max_transfer_bytes = uint64_t{2} << 30;  // of all messages that are on their way
  uint32_t most_connections = 64;
  int stall_ms = 10'000;  // a connection on which nothing moves within a conversation is ended
  int idle_ms = 60'000;   // one on which nothing is asked
  // An intermediary: each message passes it before it is kept. What it does not pass is refused
  // with its outcome. Called by several threads, without a lock. May be empty.
  std::function<Outcome(const std::string& name, const MessageView& message)> through;
  // After a message was kept, under the state's lock. May be empty.
  std::function<void(const std::string& name, const MessageView& message, MessageStore& store)>
      kept;
  // A sentence about a peer that was refused or broke off. May be empty.
  std::function<void(const std::string& sentence)> tell;
};

class Service {
 public:
  // kWrongCall: the address; TCP beyond this host without a secret; a Unix socket in a directory
  // that others may use. kBusy, kInputOutput. `states` stays the caller's, and must outlive it.
  static Expected<std::unique_ptr<Service>> start(const ServiceOptions& options,
                                                  KeptStates* states);
  // Ends all conversations.
  ~Service();

  // With the port that the kernel chose.
  const std::string& address() const { return bound_; }
  uint64_t connections_accepted() const { return accepted_; }

 private:
  Service(const ServiceOptions& options, KeptStates* states);
  Outcome listen();
  void accept_all();
  bool admit(int fd);
  void reap(bool all);

  struct Running {
    std::unique_ptr<Connection> connection;
    std::thread thread;
    std::atomic<bool> ended{false};
  };

  const ServiceOptions options_;
  KeptStates* const states_;
  PartialTransfers partials_;
  Expected<Address> where_;
  std::string bound_;
  int listener_ = -1, stop_ = -1;
  std::thread acceptor_;
  std::list<Running> running_;  // the acceptor's
  std::atomic<uint64_t> accepted_{0};
};

}  // namespace auxin::checkpoint
