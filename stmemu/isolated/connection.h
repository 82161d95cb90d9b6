// SPDX-License-Identifier: Apache-2.0
//
// A client's side of mode kIsolated: the session with the controller, and requests to it.
//
// A controller that dies is waited for: the next one takes the session over as it is, and either
// finds the request carried out or carries it out. After kPatience_ms without one a request fails
// with kUnreachable; it may still be carried out later.
//
// Thread safety: requests on different channels, any threads; one channel belongs to one thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "auxin/stm_types.h"
#include "stmemu/isolated/channel.h"
#include "stmemu/memory/board.h"
#include "stmemu/result.h"

namespace auxin::stm {

inline constexpr uint64_t kPatience_ms = 10'000;

// Where a memory's controller listens.
std::string controller_socket_path(const std::string& memory_path);

class Connection {
 public:
  // Connects to the controller of the memory at `path`, whose board is mapped at `board`.
  static Result<std::unique_ptr<Connection>> make(const std::string& path, uint64_t bank_bytes,
                                                  uint64_t seed, Board* board);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  char* view() const { return session_ + kViewOffset; }

  // A channel for a thread's context; null if all are taken. kBusy, kUnreachable …
  Status take_channel(uint32_t context, Channel** channel);
  // Without asking: the channel's descriptor waits for the next thread.
  void give_back(Channel* channel);

  // Sends what stands in the channel and waits for the reply; `result` gets its second word.
  Status ask(Channel& channel, Request request, uint64_t* result = nullptr);

  // Returns when all that the controller was at is done: it replies, or has died, and then the next
  // one recovers before it serves. Blocks for as long as one lives and does not reply; `each_round`
  // is called every millisecond or so.
  void settle(const std::function<void()>& each_round);

 private:
  Connection() = default;
  Result<bool> connect();
  void ring() const;
  Channel* take_free_channel(uint32_t of_the_first);
  Status await(Channel& channel, uint64_t number);
  bool reconnect();

  std::string path_;
  uint64_t bank_bytes_ = 0, seed_ = 0;
  Board* board_ = nullptr;
  char* session_ = nullptr;
  int memory_ = -1;           // the session's
  std::mutex socket_mutex_;
  int socket_ = -1;           // kept: its end tells the controller that this process is gone
  uint32_t controller_ = 0;   // pid
};

}  // namespace auxin::stm
