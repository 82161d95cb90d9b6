// SPDX-License-Identifier: Apache-2.0
//
// How an operation on a stable entity works on the memory's own objects inside the caller's current
// transaction: opened for a moment, so that the program can't reach them, and claimed until the
// transaction ends, as all objects are.
//
// What does not change while an entity lives is looked at without a claim, as it was committed last
// (realm.h): so those who only pass by do not conflict.
//
// Thread safety: one operation's own, on its stack.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "stmemu/entities/inside.h"
#include "stmemu/entities/records.h"

namespace auxin::stm {

// How long an operation waits for another transaction that has one of the entity's objects open.
inline constexpr Wait kEntityWait = Wait::up_to_us(1'000'000);

class EntityAccess {
 public:
  // kNotActive: "`deed` outside of a transaction".
  explicit EntityAccess(const char* deed);
  ~EntityAccess();
  EntityAccess(const EntityAccess&) = delete;
  EntityAccess& operator=(const EntityAccess&) = delete;

  Activation& activation() { return activation_; }
  PhysicalMemory& memory() { return activation_.memory(); }
  const MemoryCore& core() const { return *Inside::core(transaction_); }
  // What the entity should have and has not is no violation of the program's: the entity was
  // removed meanwhile (kNoRight).
  void check(Status status) {
    if (__builtin_expect(status != Status::kOk, 0)) failed(status);
  }

  // Claims the object and reads it.
  template <typename T>
  T read(uint64_t address) {
    T record;
    read_bytes(address, 0, &record, sizeof(T));
    return record;
  }
  void read_bytes(uint64_t address, uint64_t offset, void* to, uint64_t size_bytes);
  // Claims the object and changes it.
  template <typename T>
  void write(uint64_t address, const T& record) {
    write_bytes(address, 0, &record, sizeof(T));
  }
  void write_bytes(uint64_t address, uint64_t offset, const void* from, uint64_t size_bytes);
  template <typename T>
  uint64_t make(ObjectKind kind, uint32_t type, const T& record) {
    const uint64_t address = make_empty(kind, type, sizeof(T));
    write(address, record);
    return address;
  }
  uint64_t make_empty(ObjectKind kind, uint32_t type, uint64_t size_bytes);
  void free(uint64_t address);
  uint64_t size_of(uint64_t address);  // of a claimed object

  // As this transaction has changed it, else as it was committed last. False if there is no such
  // object.
  template <typename T>
  bool look(uint64_t address, ObjectKind kind, uint32_t type, T* record) {
    return look_bytes(address, kind, type, record, sizeof(T));
  }
  bool look_bytes(uint64_t address, ObjectKind kind, uint32_t type, void* to,
                  uint64_t size_bytes);
  bool look_all(uint64_t address, ObjectKind kind, uint32_t type, std::vector<char>* contents);

 private:
  [[noreturn]] void failed(Status status);
  void settle(uint64_t address);

  Transaction& transaction_;
  Activation& activation_;
};

// Runs `body(access)` in the current transaction, or in one of its own.
template <typename Body>
auto in_transaction(const char* deed, Body&& body) {
  if (Transaction::current() != nullptr) {
    EntityAccess access(deed);
    return body(access);
  }
  return atomically(Inside::here(), [&](Transaction&) {
    EntityAccess access(deed);
    return body(access);
  });
}

// A reference for a new record at `address`.
uint64_t new_reference(uint64_t address);

// --- names of entities: in the catalogue, a space for each kind ---

// 0: none. Claims nothing.
uint64_t find_entity(EntityAccess& access, ObjectKind kind, const std::string& name);
// kBusy if the name is taken, kTooLarge if it is too long; an empty name is none.
void name_entity(EntityAccess& access, ObjectKind kind, const std::string& name,
                 uint64_t reference);
void forget_name(EntityAccess& access, ObjectKind kind, const char* name);

}  // namespace auxin::stm
