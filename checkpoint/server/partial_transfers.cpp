// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/server/partial_transfers.h"

#include <algorithm>
#include <chrono>

namespace auxin::checkpoint {

bool PartialTransfers::make_room(uint64_t message_bytes) {
  for (auto at = partials_.begin(); at != partials_.end();) {
    if (bytes_ + message_bytes <= max_bytes_ && partials_.size() < kMost) break;
    if (at->owner != nullptr) {
      ++at;
      continue;
    }
    bytes_ -= at->message_bytes;
    at = partials_.erase(at);
  }
  return bytes_ + message_bytes <= max_bytes_ && partials_.size() < kMost;
}

Assembly* PartialTransfers::take(const std::string& name, uint64_t digest, uint64_t message_bytes,
                                 Connection* connection, int wait_ms) {
  std::unique_lock lock(mutex_);
  const auto find = [&] {
    return std::find_if(partials_.begin(), partials_.end(), [&](const Partial& each) {
      return each.name == name && each.digest == digest && each.message_bytes == message_bytes;
    });
  };
  auto found = find();
  if (found != partials_.end() && found->owner != nullptr) {
    found->owner->interrupt();
    const bool free = given_back_.wait_for(lock, std::chrono::milliseconds(wait_ms), [&] {
      found = find();
      return found == partials_.end() || found->owner == nullptr;
    });
    if (!free) return nullptr;
  }
  if (found == partials_.end()) {
    if (!make_room(message_bytes)) return nullptr;
    bytes_ += message_bytes;
    partials_.push_back(
        {name, digest, message_bytes, nullptr, std::make_unique<Assembly>(max_message_bytes_)});
    found = std::prev(partials_.end());
    found->assembly->reuse(std::move(spare_));
  }
  found->owner = connection;
  partials_.splice(partials_.end(), partials_, found);
  return found->assembly.get();
}

void PartialTransfers::give_back(Assembly* assembly, bool done) {
  const std::lock_guard lock(mutex_);
  const auto found =
      std::find_if(partials_.begin(), partials_.end(),
                   [&](const Partial& each) { return each.assembly.get() == assembly; });
  found->owner = nullptr;
  if (done) {
    bytes_ -= found->message_bytes;
    partials_.erase(found);
  }
  given_back_.notify_all();
}

void PartialTransfers::reuse(ByteBuffer memory) {
  constexpr uint64_t kMostSpareBytes = uint64_t{256} << 20;
  const std::lock_guard lock(mutex_);
  const uint64_t bytes = memory.capacity();
  if (bytes > spare_.capacity() && bytes <= kMostSpareBytes) spare_ = std::move(memory);
}

}  // namespace auxin::checkpoint
