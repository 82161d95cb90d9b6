// SPDX-License-Identifier: Apache-2.0
//
// What the entities see of the public classes that their users don't.
#pragma once

#include "auxin/stm.h"
#include "auxin/stm_entities.h"
#include "stmemu/interface/memory_core.h"
#include "stmemu/transaction/activation.h"

namespace auxin::stm {

class Inside {
 public:
  static Activation& activation(Transaction& transaction) {
    transaction.demand_current();
    return *transaction.activation_;
  }
  // An error of the activation; it may have ended the transaction.
  [[noreturn]] static void fail(Transaction& transaction, Status status) {
    const std::string why = transaction.activation_->message();
    if (!transaction.activation_->active()) transaction.ended();
    detail::raise(status, why);
  }
  static const std::shared_ptr<MemoryCore>& core(const Transaction& transaction) {
    return transaction.core_;
  }
  static const std::shared_ptr<MemoryCore>& core(const Memory& memory) { return memory.core_; }
  static Memory memory(const std::shared_ptr<MemoryCore>& core, uint64_t realm) {
    return Memory(core, realm);
  }
  static MemoryObject memory_object(const Memory& physical, uint64_t reference) {
    MemoryObject object;
    object.physical_ = physical;
    object.reference_ = reference;
    return object;
  }
  static uint64_t reference(const MemoryObject& object) { return object.reference_; }
  static uint64_t reference(const StableTask& task) { return task.reference_; }
  static StableTask task(uint64_t reference) {
    StableTask task;
    task.reference_ = reference;
    return task;
  }

  // The physical memory of the current transaction, else the current one. kDetached.
  static Memory here() {
    if (Transaction* transaction = Transaction::current(); transaction != nullptr) {
      return Memory(transaction->core_, 0);
    }
    Memory memory = Memory::current();
    if (!memory) detail::raise(Status::kDetached, "no stable memory is open: Memory::open first");
    memory.realm_ = 0;
    return memory;
  }
};

}  // namespace auxin::stm
