// SPDX-License-Identifier: Apache-2.0
//
// The state of the service: what a checkpoint holds. Plain memory without pointers; each file is a
// page, so that a transaction's increment has the pages of its files and little more.
#pragma once

#include <cstring>
#include <string>

#include "protocol.h"

namespace file_service {

constexpr uint32_t kFileCount = 64, kClientCount = 250;

struct StoredFile {
  char name[kNameBytes];  // empty: there is no file here
  uint64_t version;       // the commit that wrote it
  uint64_t size_bytes;
  uint64_t zero;
  char bytes[kFileBytes];
};
static_assert(sizeof(StoredFile) == 4096 && kNameBytes + 24 + kFileBytes == 4096);

// What a client that had no answer to its commit asks for.
struct LastCommit {
  uint64_t client;  // 0: of nobody
  uint64_t number;
};

struct alignas(4096) SavedFiles {
  StoredFile files[kFileCount];
  LastCommit last_commits[kClientCount];
  uint64_t commits;

  // Null: there is none.
  StoredFile* find(const std::string& name) {
    for (StoredFile& file : files) {
      if (name == file.name) return &file;
    }
    return nullptr;
  }
  StoredFile* find_free() { return find(""); }
  LastCommit* last_commit_of(uint64_t client) {
    for (LastCommit& each : last_commits) {
      if (each.client == client) return &each;
    }
    return nullptr;
  }
};

}  // namespace file_service
