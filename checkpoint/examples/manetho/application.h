// SPDX-License-Identifier: Apache-2.0
//
// The application: tokens that wander about between the processes. Each receipt changes a value in
// a way that depends on all receipts before, and the value decides where the token goes. So the
// order of receipts, which nobody controls, decides everything; but nothing else does.
#pragma once

#include <cstdint>

#include "antecedence_graph.h"

namespace manetho {

struct Token {
  uint64_t number, hops_left, value;
};

// What the application gives to the outside world. It can't be taken back.
struct Output {
  uint64_t ordinal;   // of this process: 1, 2, …; the outside drops what it has seen
  uint64_t interval;  // in which it was made
  uint64_t token;     // that has ended here; 0: only a sign of life
  uint64_t value;
};

// What an application may do while it handles a receipt.
class Surroundings {
 public:
  virtual void send(uint32_t to, const Token& token) = 0;
  virtual void put_out(uint64_t token, uint64_t value) = 0;

 protected:
  ~Surroundings() = default;
};

// Its whole state: plain memory, a part of what a checkpoint holds.
struct Application {
  struct Entry {
    uint64_t sender, number, value;
  };
  static constexpr uint64_t kLedgerRoom = 8192, kOutputEvery = 4;

  uint64_t value;
  uint64_t receipts;
  Entry ledger[kLedgerRoom];

  void start(uint32_t self, uint64_t tokens, uint64_t hops, Surroundings& surroundings) {
    for (uint64_t i = 0; i < tokens; ++i) {
      const uint64_t number = 1 + i * kProcesses + self;
      surroundings.send(neighbour(self, i), {number, hops, mixed(number)});
    }
  }

  // `number`: of the message, among those of the sender to this process.
  void receive(uint32_t self, uint32_t sender, uint64_t number, const Token& token,
               Surroundings& surroundings) {
    value = mixed(value ^ mixed(token.value + sender));
    demand(receipts < kLedgerRoom, "the ledger is full");
    ledger[receipts++] = {sender, number, value};
    if (token.hops_left == 0) {
      surroundings.put_out(token.number, value);
      return;
    }
    surroundings.send(neighbour(self, value), {token.number, token.hops_left - 1, value});
    if (receipts % kOutputEvery == 0) surroundings.put_out(0, value);
  }

  static uint32_t neighbour(uint32_t self, uint64_t choice) {
    return static_cast<uint32_t>((self + 1 + choice % (kProcesses - 1)) % kProcesses);
  }
  static uint64_t mixed(uint64_t number) {
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9u;
    number = (number ^ (number >> 27)) * 0x94d049bb133111ebu;
    return number ^ (number >> 31);
  }
};

}  // namespace manetho
