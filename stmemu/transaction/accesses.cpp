// SPDX-License-Identifier: Apache-2.0
//
// Reads and writes that are checked against what is open and how long it is.
#include <algorithm>

#include "stmemu/transaction/hot_path.h"

namespace auxin::stm {

Status Activation::read(uint64_t address, uint64_t offset, void* to, uint64_t size_bytes) {
  Touched* touched = nullptr;
  const Status status = find_open(address, OpenFor::kReading, "read", &touched);
  if (status != Status::kOk) return status;
  const uint64_t size = touched->becomes.size_bytes();
  if (offset > size || size_bytes > size - offset) {
    return fail_at(Status::kOutOfBounds, address, "read beyond its end");
  }
  memcpy(to, memory_.view() + address + offset, size_bytes);
  return Status::kOk;
}

Status Activation::write(uint64_t address, uint64_t offset, const void* from,
                         uint64_t size_bytes) {
  Touched* touched = nullptr;
  const Status status = find_open(address, OpenFor::kChanging, "written", &touched);
  if (status != Status::kOk) return status;
  const uint64_t size = touched->becomes.size_bytes();
  if (offset > size || size_bytes > size - offset) {
    return fail_at(Status::kOutOfBounds, address, "written beyond its end");
  }
#ifdef AUXIN_STORE_STEPS
  // What goes into bank A goes through the seam, word by word.
  const bool seen = memory_.view() == memory_.banks().a.at(0);
  for (uint64_t done = 0; seen && done < size_bytes;) {
    const uint64_t at = address + offset + done;
    const uint64_t word_at = at & ~7ull;
    const uint64_t count = std::min(size_bytes - done, word_at + 8 - at);
    uint64_t word = memory_.banks().a.word(word_at);
    memcpy(reinterpret_cast<char*>(&word) + (at - word_at), static_cast<const char*>(from) + done,
           count);
    memory_.banks().a.store_word(word_at, word);
    done += count;
  }
  if (seen) return Status::kOk;
#endif
  memcpy(memory_.view() + address + offset, from, size_bytes);
  return Status::kOk;
}

Status Activation::demand_open(uint64_t address, OpenFor purpose) {
  Touched* touched = nullptr;
  return find_open(address, purpose, "used", &touched);
}

bool Activation::is_open(uint64_t address) {
  Place place;
  if (!active_ || !locate(memory_, address, &place)) return false;
  const Touched* touched = find(place.header);
  return touched != nullptr && touched->open;
}

Status Activation::describe(uint64_t address, uint64_t* size_bytes, uint16_t* life) {
  Touched* touched = nullptr;
  const Status status = find_open(address, OpenFor::kReading, "described", &touched);
  if (status != Status::kOk) return status;
  *size_bytes = touched->becomes.size_bytes();
  *life = touched->becomes.life();
  return Status::kOk;
}

}  // namespace auxin::stm
