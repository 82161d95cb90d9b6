// SPDX-License-Identifier: Apache-2.0
#include "stmemu/transaction/catalogue.h"

#include <string.h>

#include <iterator>

namespace auxin::stm {
namespace {

constexpr Wait kCatalogueWait = Wait::up_to_us(1'000'000);

// Lets the memory's own objects be opened while it stands.
class SystemAccess {
 public:
  explicit SystemAccess(Activation& activation) : activation_(activation) {
    activation_.set_system(true);
  }
  ~SystemAccess() { activation_.set_system(false); }
  SystemAccess(const SystemAccess&) = delete;
  SystemAccess& operator=(const SystemAccess&) = delete;

 private:
  Activation& activation_;
};

constexpr uint64_t kEntries = std::size(Catalogue{}.entries);

constexpr uint64_t entry_offset(uint64_t index) {
  return offsetof(Catalogue, entries) + index * sizeof(CatalogueEntry);
}

bool is_named(const CatalogueEntry& entry, const std::string& name, NameSpace space) {
  return entry.space == space && name.size() < sizeof(entry.name) &&
         memcmp(entry.name, name.c_str(), name.size() + 1) == 0;
}

}  // namespace

Status read_root(Activation& activation, const std::string& name, uint64_t* reference,
                 NameSpace space) {
  const SystemAccess access(activation);
  *reference = 0;
  uint64_t block = activation.memory().superblock().catalogue;
  while (block != 0) {
    Status status = activation.open(block, OpenFor::kReading, kCatalogueWait);
    Catalogue catalogue;
    if (status == Status::kOk) status = activation.read(block, 0, &catalogue, sizeof(catalogue));
    if (status != Status::kOk) return status;
    for (const CatalogueEntry& entry : catalogue.entries) {
      if (!is_named(entry, name, space)) continue;
      *reference = entry.object;
      return Status::kOk;
    }
    block = catalogue.next;
  }
  return Status::kOk;
}

Status write_root(Activation& activation, const std::string& name, uint64_t reference,
                  NameSpace space) {
  const SystemAccess access(activation);
  CatalogueEntry entry = {};
  memcpy(entry.name, name.data(), name.size());
  entry.object = reference;
  entry.space = space;
  uint64_t block = activation.memory().superblock().catalogue;
  uint64_t free_block = 0, free_index = 0;
  for (;;) {
    Status status = activation.open(block, OpenFor::kChanging, kCatalogueWait);
    Catalogue catalogue;
    if (status == Status::kOk) status = activation.read(block, 0, &catalogue, sizeof(catalogue));
    if (status != Status::kOk) return status;
    for (uint64_t index = 0; index < kEntries; ++index) {
      if (is_named(catalogue.entries[index], name, space)) {
        if (reference == 0) entry = {};
        return activation.write(block, entry_offset(index), &entry, sizeof(entry));
      }
      if (free_block == 0 && catalogue.entries[index].name[0] == '\0') {
        free_block = block;
        free_index = index;
      }
    }
    if (catalogue.next == 0) break;
    block = catalogue.next;
  }
  if (reference == 0) return Status::kOk;
  if (free_block == 0) {
    // One more catalogue behind the last.
    uint64_t next = 0;
    Status status = activation.allocate(sizeof(Catalogue), ObjectKind::kCatalogue, 0, &next);
    if (status == Status::kOk) {
      status = activation.write(block, offsetof(Catalogue, next), &next, sizeof(next));
    }
    if (status != Status::kOk) return status;
    free_block = next;
  }
  return activation.write(free_block, entry_offset(free_index), &entry, sizeof(entry));
}

Status erase_space(Activation& activation, NameSpace space) {
  const SystemAccess access(activation);
  uint64_t block = activation.memory().superblock().catalogue;
  while (block != 0) {
    Status status = activation.open(block, OpenFor::kChanging, kCatalogueWait);
    Catalogue catalogue;
    if (status == Status::kOk) status = activation.read(block, 0, &catalogue, sizeof(catalogue));
    for (uint64_t index = 0; index < kEntries && status == Status::kOk; ++index) {
      const CatalogueEntry& entry = catalogue.entries[index];
      if (entry.name[0] == '\0' || entry.space != space) continue;
      const CatalogueEntry none = {};
      status = activation.write(block, entry_offset(index), &none, sizeof(none));
    }
    if (status != Status::kOk) return status;
    block = catalogue.next;
  }
  return Status::kOk;
}

}  // namespace auxin::stm
