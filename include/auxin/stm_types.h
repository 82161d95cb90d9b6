// SPDX-License-Identifier: Apache-2.0
//
// The words of the Stable Transactional Memory: modes, promises, and how an operation can end.
// Part of <auxin/stm.h>; C++17.
#pragma once

#include <cstdint>

namespace auxin::stm {

// How objects that are not open are protected; chosen when a memory is created.
enum class Mode : uint8_t {
  kChecked = 0,   // every access through the library is checked; raw pointers are found out later
  kWindow = 1,    // raw pointers to objects that are not open are caught by the hardware
  kIsolated = 2,  // only a controller process can store into the banks
};

// What a committed transaction survives.
enum class Durability : uint8_t {
  kProcess = 0,  // the death of any process, at any instruction (tmpfs: the battery-backed board)
  kPower = 1,    // a power failure too: commits wait for the disk
};

// What an access violation does to its program (paper 001, §2.2.1).
enum class Policy : uint8_t {
  kHalt = 0,   // trusted code: the processor is at fault; one line on descriptor 2, then abort()
  kAbort = 1,  // code under test: its transaction is aborted, the operation fails with kViolation
};

enum class Status : uint8_t {
  kOk = 0,
  // Retry: the transaction may be aborted and begun again.
  kConflict,       // another transaction has the object open
  kDeadlock,       // waiting for it would never end
  // Violations (paper 001, §2.2.1): the access is rejected, the policy decides what follows.
  kNotOpen,        // the object is not open in this transaction
  kNotStable,      // no object begins at this address: never made, or memory of another kind
  kFreed,          // the object was freed, perhaps made anew since
  kOutOfBounds,    // the access goes beyond the object's end
  kForeign,        // the object belongs to another memory object
  // Misuse of a transaction.
  kNotActive,      // not begun, or ended already
  kNested,         // begun already
  kWrongThread,    // a transaction belongs to the thread that began it
  kNoRight,        // the task has no such right to the port or memory, or that is no more
  // Limits.
  kEmpty,          // an object of size 0
  kTooLarge,       // larger than the memory could ever hold
  kFull,           // no room now
  kBusy,           // no context, port or task free now
  // The memory itself.
  kDamaged,        // both copies are bad; the message names the object
  kDetached,       // the memory is closed here, or this process is a fork of the one that opened it
  kUnreachable,    // isolated mode: no controller answers
  kRefused,        // the file is not one that can be used; the message says why
  kStandby,        // the memory is another processor's now (stm_node.h)
};

// A word for each, as the command prints it.
const char* name_of(Mode mode);
const char* name_of(Durability durability);
const char* name_of(Status status);

inline bool is_violation(Status status) {
  return status >= Status::kNotOpen && status <= Status::kForeign;
}
inline bool is_retryable(Status status) {
  return status == Status::kConflict || status == Status::kDeadlock;
}

}  // namespace auxin::stm
