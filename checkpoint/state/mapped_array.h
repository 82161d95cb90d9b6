// SPDX-License-Identifier: Apache-2.0
//
// An array in memory of its own, zeros at first: private, or shared with children. No exceptions;
// pages are taken as they are touched.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <utility>

namespace auxin::checkpoint {

template <typename T>
class MappedArray {
 public:
  MappedArray() = default;
  MappedArray(MappedArray&& other) noexcept { swap(other); }
  MappedArray& operator=(MappedArray&& other) noexcept {
    swap(other);
    return *this;
  }
  ~MappedArray() {
    if (items_ != nullptr) munmap(items_, bytes(count_));
  }

  // Existing items stay; the array may move. False: no memory; nothing changed.
  [[nodiscard]] bool resize(uint64_t count, bool shared) {
    if (count == count_) return true;
    void* memory = nullptr;
    if (count != 0) {
      memory = mmap(nullptr, bytes(count), PROT_READ | PROT_WRITE,
                    MAP_ANONYMOUS | MAP_NORESERVE | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
      if (memory == MAP_FAILED) return false;
      const uint64_t kept = count < count_ ? count : count_;
      if (kept != 0) std::memcpy(memory, items_, kept * sizeof(T));
    }
    if (items_ != nullptr) munmap(items_, bytes(count_));
    items_ = static_cast<T*>(memory);
    count_ = count;
    return true;
  }
  // Nothing of what is there is kept.
  [[nodiscard]] bool replace(uint64_t count, bool shared) {
    MappedArray fresh;
    if (!fresh.resize(count, shared)) return false;
    swap(fresh);
    return true;
  }
  void set_zeros() {
    if (items_ != nullptr) std::memset(items_, 0, count_ * sizeof(T));
  }

  uint64_t count() const { return count_; }
  T* data() { return items_; }
  const T* data() const { return items_; }
  T& operator[](uint64_t index) { return items_[index]; }
  const T& operator[](uint64_t index) const { return items_[index]; }

 private:
  static uint64_t bytes(uint64_t count) { return count * sizeof(T); }
  void swap(MappedArray& other) noexcept {
    std::swap(items_, other.items_);
    std::swap(count_, other.count_);
  }

  T* items_ = nullptr;
  uint64_t count_ = 0;
};

}  // namespace auxin::checkpoint
