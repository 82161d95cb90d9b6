// SPDX-License-Identifier: Apache-2.0
//
// Bytes that grow, without being set to zero first, and without exceptions: large messages are
// built in it. Where overruns are looked for, its room ends at a page that nobody may touch, but
// for less than 16 bytes.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <utility>

#include "checkpoint/detection/detection.h"
#include "checkpoint/detection/guarded_memory.h"
#include "checkpoint/tracking/page_run.h"

namespace auxin::checkpoint {

class ByteBuffer {
 public:
  ByteBuffer() = default;
  ByteBuffer(ByteBuffer&& other) noexcept { swap(other); }
  ByteBuffer& operator=(ByteBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~ByteBuffer() {
    if (guarded_ != nullptr) {
      unmap_guarded(guarded_, guarded_bytes_);
    } else {
      std::free(bytes_);
    }
  }

  uint8_t* data() { return bytes_; }
  const uint8_t* data() const { return bytes_; }
  uint64_t size() const { return size_; }
  uint64_t capacity() const { return capacity_; }
  std::span<const uint8_t> view() const { return {bytes_, size_}; }

  // Room for `size_bytes` in all. False: no memory; nothing changed.
  [[nodiscard]] bool reserve(uint64_t size_bytes) {
    if (size_bytes <= capacity_) return true;
    const uint64_t half_more = capacity_ + capacity_ / 2;
    const uint64_t capacity = half_more > size_bytes ? half_more : size_bytes;
    if (guarded_ != nullptr ||
        (bytes_ == nullptr && detects(AUXIN_CHECKPOINT_DETECT_OVERRUNS))) {
      return move_to_guarded(capacity);
    }
    void* grown = std::realloc(bytes_, capacity);
    if (grown == nullptr) return false;
    bytes_ = static_cast<uint8_t*>(grown);
    capacity_ = capacity;
    return true;
  }
  // New bytes are not set.
  [[nodiscard]] bool resize(uint64_t size_bytes) {
    if (!reserve(size_bytes)) return false;
    size_ = size_bytes;
    return true;
  }
  // New bytes are zeros.
  [[nodiscard]] bool resize_with_zeros(uint64_t size_bytes) {
    const uint64_t before = size_;
    if (!resize(size_bytes)) return false;
    if (size_bytes > before) std::memset(bytes_ + before, 0, size_bytes - before);
    return true;
  }
  [[nodiscard]] bool append(const void* bytes, uint64_t size_bytes) {
    const uint64_t at = size_;
    if (!resize(size_ + size_bytes)) return false;
    if (size_bytes != 0) std::memcpy(bytes_ + at, bytes, size_bytes);
    return true;
  }

 private:
  bool move_to_guarded(uint64_t capacity) {
    constexpr uint64_t kAlignment = 16;
    const uint64_t room = (capacity + kAlignment - 1) / kAlignment * kAlignment;
    const uint64_t whole = (room + kPageBytes - 1) / kPageBytes * kPageBytes;
    void* memory = map_guarded(whole, false, "a buffer of a message or an image");
    if (memory == nullptr) return false;
    uint8_t* bytes = static_cast<uint8_t*>(memory) + (whole - room);
    if (size_ != 0) std::memcpy(bytes, bytes_, size_);
    if (guarded_ != nullptr) unmap_guarded(guarded_, guarded_bytes_);
    guarded_ = memory;
    guarded_bytes_ = whole;
    bytes_ = bytes;
    capacity_ = capacity;
    return true;
  }
  void swap(ByteBuffer& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(guarded_, other.guarded_);
    std::swap(guarded_bytes_, other.guarded_bytes_);
  }

  uint8_t* bytes_ = nullptr;
  uint64_t size_ = 0, capacity_ = 0;
  void* guarded_ = nullptr;  // the mapping that bytes_ lies in; null: it is malloc's
  uint64_t guarded_bytes_ = 0;
};

}  // namespace auxin::checkpoint
