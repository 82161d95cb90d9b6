// SPDX-License-Identifier: Apache-2.0
//
// The antecedence graph of a process: all receipts of messages, by whatever process, that its
// present state depends on. A receipt begins a new interval of its process. Its node says which
// message it was; its two edges lead to the interval before, and to the interval of the sender that
// the message came from. Between two receipts a process is deterministic; so a process's own part
// of the graph, and the messages, are all that is needed to repeat it.
//
// Plain memory of a fixed size: a part of what a checkpoint holds. Receipts that a checkpoint of
// their process covers are forgotten, for nobody will ever repeat them.
#pragma once

#include <cstdint>
#include <vector>

namespace manetho {

constexpr uint32_t kProcesses = 3;

struct Receipt {
  uint32_t process, sender;
  uint64_t interval;         // of `process`, which this receipt began: 1, 2, …
  uint64_t number;           // of the message, among those from `sender` to `process`
  uint64_t sender_interval;  // in which it was sent
};

class AntecedenceGraph {
 public:
  // The last interval of a process that is known here; those before it are, too, or forgotten.
  uint64_t last(uint32_t process) const { return last_[process]; }
  // Null: it is not known, or forgotten.
  const Receipt* find(uint32_t process, uint64_t interval) const;
  // Known ones may be told again. A gap is a breach of the protocol, and ends this process.
  void add(const Receipt& receipt);
  // The process has a checkpoint of this interval.
  void forget(uint32_t process, uint64_t interval);
  // What one does not know who knows each process's receipts up to `known`.
  std::vector<Receipt> beyond(const uint64_t (&known)[kProcesses]) const;

 private:
  static constexpr uint64_t kRoom = 256;  // of each process; many times its checkpoints' distance

  uint64_t forgotten_[kProcesses];  // up to and with this interval
  uint64_t last_[kProcesses];
  Receipt receipts_[kProcesses][kRoom];
};

// What must hold whatever other processes do; else this one ends, loudly.
void demand(bool holds, const char* what);

}  // namespace manetho
