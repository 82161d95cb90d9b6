// SPDX-License-Identifier: Apache-2.0
#include "transaction.h"

#include <cstdio>
#include <memory>

namespace file_service {

Transaction::Copy& Transaction::copy_of(const std::string& name) {
  const auto [at, is_new] = copies_.try_emplace(name);
  const StoredFile* const file = is_new ? files_.find(name) : nullptr;
  if (file != nullptr) {
    at->second.version = file->version;
    at->second.bytes.assign(file->bytes, file->size_bytes);
  }
  return at->second;
}

Status Transaction::write(const std::string& name, uint64_t offset, const char* data,
                          uint32_t length) {
  if (offset > kFileBytes || length > kFileBytes - offset) return Status::kTooLarge;
  Copy& copy = copy_of(name);
  if (copy.bytes.size() < offset + length) copy.bytes.resize(offset + length);
  copy.bytes.replace(offset, length, data, length);
  copy.changed = true;
  return Status::kOk;
}

Status Transaction::truncate(const std::string& name, uint64_t size_bytes) {
  if (size_bytes > kFileBytes) return Status::kTooLarge;
  Copy& copy = copy_of(name);
  copy.bytes.resize(size_bytes);
  copy.changed = true;
  return Status::kOk;
}

bool Transaction::is_up_to_date() const {
  for (const auto& [name, copy] : copies_) {
    const StoredFile* const file = files_.find(name);
    if (copy.version != (file == nullptr ? 0 : file->version)) return false;
  }
  return true;
}

// False: there is no room for all of them.
bool Transaction::put_in_place() {
  ++files_.commits;
  for (const auto& [name, copy] : copies_) {
    if (!copy.changed) continue;
    StoredFile* file = files_.find(name);
    if (file == nullptr && copy.bytes.empty()) continue;
    if (file == nullptr) file = files_.find_free();
    if (file == nullptr) return false;
    *file = StoredFile();
    if (copy.bytes.empty()) continue;
    name.copy(file->name, kNameBytes - 1);
    file->version = files_.commits;
    file->size_bytes = copy.bytes.size();
    copy.bytes.copy(file->bytes, kFileBytes);
  }
  return true;
}

Status Transaction::commit(auxin::checkpoint::State& state, auxin::checkpoint::Store& store) {
  if (!is_up_to_date()) return Status::kConflict;
  bool changes = false;
  for (const auto& [name, copy] : copies_) changes = changes || copy.changed;
  if (!changes) return Status::kOk;

  // What is refused is undone in memory; the next increment has it as it was.
  const auto before = std::make_unique<SavedFiles>(files_);
  LastCommit* const last = files_.last_commit_of(client_);
  if (last == nullptr || !put_in_place()) {
    files_ = *before;
    return Status::kFull;
  }
  last->number = number_;
  try {
    state.save(store);
  } catch (const auxin::checkpoint::Failure& failure) {
    fprintf(stderr, "file_server: a commit is refused: %s\n", failure.what());
    files_ = *before;
    return Status::kFull;
  }
  return Status::kOk;
}

}  // namespace file_service
