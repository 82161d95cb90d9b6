// SPDX-License-Identifier: Apache-2.0
//
// Manetho's protocol for one process of three (Elnozahy, 1993): rollback recovery in which nobody
// but the process that died goes back, and outputs need not wait for checkpoints.
//
//   - Each message carries the receipts that its sender's state depends on and that the receiver
//     may not know. So whoever depends on a receipt knows it.
//   - The sender keeps each message until the receiver has a checkpoint after it.
//   - An output leaves when another process knows all receipts of this one up to it, or a
//     checkpoint covers them.
//   - A process that died begins at its checkpoint. Both others tell it the receipts that they know
//     of it, and send again what it has not received. It receives in the order of these receipts;
//     after the last one in any order, for on that nobody depends.
//
// A new process and one that recovers do the same: the hello on a connection has all receipts that
// are known, and nothing is received before both others have said hello. One death at a time is
// borne: the next one after "recovered".
//
// Not thread-safe.
#pragma once

#include <deque>
#include <random>
#include <string>

#include "auxin/checkpoint.h"
#include "link.h"
#include "process_state.h"

namespace manetho {

class Process final : private Surroundings {
 public:
  // In `directory` are the sockets, and the checkpoints, one every `checkpoint_every` receipts. A
  // first start sends out `tokens`.
  Process(const std::string& directory, uint32_t self, uint64_t checkpoint_every, uint64_t tokens,
          uint64_t hops);
  // Until the descriptor `end` can be read.
  void run(int end);
  const ProcessState& state() const { return state_; }

 private:
  // What has come and is not received: the order of receipts is not decided yet.
  struct Arrived {
    uint64_t number, interval;
    Token token;
  };
  struct Peer {
    Link link;
    bool is_introduced = false;        // its hello has come, on this connection
    bool was_introduced = false;       // on any one
    uint64_t arrived = 0;              // its messages
    uint64_t told[kProcesses] = {};    // the last receipts that it was sent on this connection …
    uint64_t known[kProcesses] = {};   // … and that it says it has
    uint64_t asked = 0;                // to hold this one's, up to this interval
    std::deque<Arrived> messages;
  };

  // Surroundings
  void send(uint32_t to, const Token& token) override;
  void put_out(uint64_t token, uint64_t value) override;

  void transmit(uint32_t to, Kind kind, uint64_t number = 0);
  void introduce(uint32_t peer);
  void handle(uint32_t from, const Frame& frame);
  void handle_hello(uint32_t from, const FrameHeader& hello);
  bool can_receive(uint32_t* from);
  void receive(uint32_t from);
  void save();
  void note_checkpoint();
  void commit_outputs();

  void connect();
  void accept(int listener);
  void read_from(uint32_t peer);
  void read_newcomer(size_t index);

  const std::string directory_;
  const uint32_t self_;
  const uint64_t checkpoint_every_;
  ProcessState& state_;
  auxin::checkpoint::Store store_;
  auxin::checkpoint::State saved_;
  uint64_t covered_received_[kProcesses] = {};  // ProcessState::received in the last checkpoint
  bool is_recovering_ = false;
  Peer peers_[kProcesses];
  std::vector<Link> newcomers_;                 // connected, and have not said who they are
  std::mt19937_64 random_;
};

}  // namespace manetho
