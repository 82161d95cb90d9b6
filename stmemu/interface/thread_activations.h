// SPDX-License-Identifier: Apache-2.0
//
// The activations of a thread: one for each memory in which it has run transactions, kept until the
// thread ends (a context belongs to a thread for as long as it lives, contexts.h).
#pragma once

#include <memory>
#include <vector>

#include "stmemu/interface/memory_core.h"
#include "stmemu/transaction/activation.h"

namespace auxin::stm {

class Transaction;

// What every operation asks of the calling thread. Without a constructor, so that there is nothing
// to be looked at before it can be read.
struct ThisThread {
  Transaction* current;  // the thread's current transaction
  uint64_t number;       // never another's; 0: none yet, or none since this process was forked
};
inline thread_local constinit ThisThread this_thread{};

class ThreadActivations {
 public:
  // The calling thread's.
  static ThreadActivations& mine();
  ~ThreadActivations();

  // An activation that is not active. kBusy, kFull, kDetached; the message is in `why`.
  Status take(const std::shared_ptr<MemoryCore>& core, Activation** activation, std::string* why);
  // Gives back those of memories that nobody else holds on to any more.
  void drop_unused();

 private:
  struct Entry {
    std::shared_ptr<MemoryCore> core;
    std::unique_ptr<Activation> activation;
  };

  ThreadActivations();
  void forget_the_parents();

  uint64_t forks_;
  std::vector<Entry> entries_;
};

}  // namespace auxin::stm
