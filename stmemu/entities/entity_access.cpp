// SPDX-License-Identifier: Apache-2.0
#include "stmemu/entities/entity_access.h"

#include <sys/random.h>

#include "stmemu/check.h"
#include "stmemu/transaction/catalogue.h"

namespace auxin::stm {
namespace {

Transaction& demand_transaction(const char* deed) {
  Transaction* transaction = Transaction::current();
  if (transaction == nullptr) {
    detail::raise(Status::kNotActive, std::string(deed) + " outside of a transaction");
  }
  return *transaction;
}

bool is_named(const CatalogueEntry& entry, ObjectKind kind, const std::string& name) {
  return entry.space == static_cast<NameSpace>(kind) && name.size() < sizeof(entry.name) &&
         memcmp(entry.name, name.c_str(), name.size() + 1) == 0;
}

}  // namespace

EntityAccess::EntityAccess(const char* deed)
    : transaction_(demand_transaction(deed)), activation_(Inside::activation(transaction_)) {
  activation_.set_system(true);
  activation_.set_quiet(true);
}

EntityAccess::~EntityAccess() {
  activation_.set_system(false);
  activation_.set_quiet(false);
}

void EntityAccess::failed(Status status) {
  if (is_violation(status)) {
    detail::raise(Status::kNoRight, "it is no more (" + activation_.message() + ")");
  }
  Inside::fail(transaction_, status);
}

void EntityAccess::read_bytes(uint64_t address, uint64_t offset, void* to, uint64_t size_bytes) {
  check(activation_.open(address, OpenFor::kReading, kEntityWait));
  check(activation_.read(address, offset, to, size_bytes));
  check(activation_.close(address));
}

void EntityAccess::write_bytes(uint64_t address, uint64_t offset, const void* from,
                               uint64_t size_bytes) {
  check(activation_.open(address, OpenFor::kChanging, kEntityWait));
  check(activation_.write(address, offset, from, size_bytes));
  check(activation_.close(address));
}

uint64_t EntityAccess::make_empty(ObjectKind kind, uint32_t type, uint64_t size_bytes) {
  uint64_t address = 0;
  check(activation_.allocate(size_bytes, kind, type, &address));
  check(activation_.close(address));
  return address;
}

void EntityAccess::free(uint64_t address) {
  check(activation_.open(address, OpenFor::kChanging, kEntityWait));
  check(activation_.free(address));
}

uint64_t EntityAccess::size_of(uint64_t address) {
  uint64_t size_bytes = 0;
  uint16_t life = 0;
  check(activation_.open(address, OpenFor::kReading, kEntityWait));
  check(activation_.describe(address, &size_bytes, &life));
  check(activation_.close(address));
  return size_bytes;
}

// Whoever has claimed it has settled what a dead thread left of it.
void EntityAccess::settle(uint64_t address) {
  check(activation_.open(address, OpenFor::kReading, kEntityWait));
  activation_.forget(address);
}

bool EntityAccess::look_bytes(uint64_t address, ObjectKind kind, uint32_t type, void* to,
                              uint64_t size_bytes) {
  if (activation_.changes(address, kind, type)) {
    read_bytes(address, 0, to, size_bytes);
    return true;
  }
  for (;;) {
    const Committed found = read_committed(memory(), address, kind, type, to, size_bytes);
    if (found != Committed::kUnsettled) return found == Committed::kFound;
    settle(address);
  }
}

bool EntityAccess::look_all(uint64_t address, ObjectKind kind, uint32_t type,
                            std::vector<char>* contents) {
  if (activation_.changes(address, kind, type)) {
    contents->resize(size_of(address));
    read_bytes(address, 0, contents->data(), contents->size());
    return true;
  }
  for (;;) {
    const Committed found =
        read_committed(memory(), address, kind, type, kMaxBankBytes, contents);
    if (found != Committed::kUnsettled) return found == Committed::kFound;
    settle(address);
  }
}

uint64_t new_reference(uint64_t address) {
  CHECK(address <= kReferenceAddressMask, "an address has 40 bits");
  uint64_t mark = 0;
  while (mark == 0) {
    CHECK(getrandom(&mark, sizeof(mark), 0) == sizeof(mark), "the kernel has random numbers");
    mark &= ~kReferenceAddressMask;
  }
  return address | mark;
}

uint64_t find_entity(EntityAccess& access, ObjectKind kind, const std::string& name) {
  uint64_t block = access.memory().superblock().catalogue;
  while (block != 0) {
    Catalogue catalogue;
    if (!access.look(block, ObjectKind::kCatalogue, 0, &catalogue)) return 0;
    for (const CatalogueEntry& entry : catalogue.entries) {
      if (is_named(entry, kind, name)) return entry.object;
    }
    block = catalogue.next;
  }
  return 0;
}

void name_entity(EntityAccess& access, ObjectKind kind, const std::string& name,
                 uint64_t reference) {
  if (name.empty()) return;
  if (name.size() > kLongestEntityName || name.find('\0') != std::string::npos) {
    detail::raise(Status::kTooLarge, "a name has 1 to 47 bytes, none of them zero");
  }
  const auto space = static_cast<NameSpace>(kind);
  uint64_t other = 0;
  access.check(read_root(access.activation(), name, &other, space));
  access.activation().set_system(true);
  if (other != 0) detail::raise(Status::kBusy, "the name \"" + name + "\" is taken");
  access.check(write_root(access.activation(), name, reference, space));
  access.activation().set_system(true);
}

void forget_name(EntityAccess& access, ObjectKind kind, const char* name) {
  if (name[0] == '\0') return;
  access.check(write_root(access.activation(), name, 0, static_cast<NameSpace>(kind)));
  access.activation().set_system(true);
}

}  // namespace auxin::stm
