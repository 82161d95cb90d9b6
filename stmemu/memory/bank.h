// SPDX-License-Identifier: Apache-2.0
//
// A Bank is one of the two copies of the stable memory, and the only way to store into one: every
// store to a bank of the physical memory passes through store() or store_word() (paper 001, §2.2).
//
// How a store reaches the bank is the mode's business: directly, where the bank is mapped for
// writing, or by a system call, where this process has no mapping that a wild store could hit.
// Banks pairs the two and says where stores must not pass one another (fence).
//
// The process-failure model: a killed process leaves behind a prefix of its stores in program order
// (x86-64 orders stores, tmpfs keeps them), torn at 8 bytes. The protocols ask for less: between
// two fences any subset of the 8-byte stores may have happened. With durability kPower a fence is
// fdatasync, so the same holds for a disk.
//
// Thread safety: none of its own; who may store where is settled by ownership (page lock, owner
// words). Offsets and sizes are multiples of 8.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace auxin::stm {

#ifdef AUXIN_STORE_STEPS
// Tests see, just before it happens, each 8-byte store (bank 0 or 1) and each fence (bank -1).
void bank_step(int bank, uint64_t offset, uint64_t value);
#endif

class Bank {
 public:
  Bank() = default;
  // `base` maps the bank for reading and writing.
  Bank(int number, char* base) : base_(base), number_(number), direct_(true) {}
  // `base` maps it for reading; stores go to `guarded`, which is mapped under the protection key
  // `key`, or, if that is null, to `fd` at `file_offset`.
  Bank(int number, char* base, char* guarded, int key, int fd, uint64_t file_offset)
      : base_(base), guarded_(guarded), file_offset_(file_offset), fd_(fd), key_(key),
        number_(number) {}

  const char* at(uint64_t offset) const { return base_ + offset; }
  uint64_t word(uint64_t offset) const {
    return __atomic_load_n(reinterpret_cast<const uint64_t*>(base_ + offset), __ATOMIC_RELAXED);
  }
  int number() const { return number_; }

  // Never torn, whoever dies.
  void store_word(uint64_t offset, uint64_t value) {
#ifdef AUXIN_STORE_STEPS
    bank_step(number_, offset, value);
#endif
    if (__builtin_expect(direct_, 1)) {
      __atomic_store_n(reinterpret_cast<uint64_t*>(base_ + offset), value, __ATOMIC_RELAXED);
    } else {
      store_word_guarded(offset, value);
    }
  }

  // A short record, word by word: what was just computed word by word is not read back wider (the
  // processor would wait for its stores).
  template <size_t kWords>
  void store_words(uint64_t offset, const uint64_t* from) {
#ifdef AUXIN_STORE_STEPS
    store(offset, from, kWords * sizeof(uint64_t));
#else
    if (__builtin_expect(!direct_, 0)) return store(offset, from, kWords * sizeof(uint64_t));
    auto* const to = reinterpret_cast<uint64_t*>(base_ + offset);
#pragma GCC unroll 8
    for (size_t word = 0; word < kWords; ++word) {
      __atomic_store_n(to + word, __atomic_load_n(from + word, __ATOMIC_RELAXED),
                       __ATOMIC_RELAXED);
    }
#endif
  }

  // May be torn between any two of its words.
  void store(uint64_t offset, const void* from, size_t size_bytes) {
#ifdef AUXIN_STORE_STEPS
    for (size_t at = 0; at < size_bytes; at += sizeof(uint64_t)) {
      uint64_t value;
      memcpy(&value, static_cast<const char*>(from) + at, sizeof(value));
      store_word(offset + at, value);
    }
#else
    if (__builtin_expect(direct_, 1)) {
      memcpy(base_ + offset, from, size_bytes);
    } else {
      store_guarded(offset, from, size_bytes);
    }
#endif
  }

 private:
  friend class Banks;
  void store_guarded(uint64_t offset, const void* from, size_t size_bytes);
  // By value: the word need not have an address where it is stored directly.
  [[gnu::cold, gnu::noinline]] void store_word_guarded(uint64_t offset, uint64_t value) {
    store_guarded(offset, &value, sizeof(value));
  }

  char* base_ = nullptr;
  char* guarded_ = nullptr;
  uint64_t file_offset_ = 0;
  int fd_ = -1;
  int key_ = -1;
  int number_ = 0;
  bool direct_ = false;
};

// A bank into which stores go directly, as commit sees it: an address in a register, where a Bank
// must be asked anew before each store.
class DirectBank {
 public:
  explicit DirectBank(char* base) : base_(base) {}
  const char* at(uint64_t offset) const { return base_ + offset; }
  uint64_t word(uint64_t offset) const {
    return __atomic_load_n(reinterpret_cast<const uint64_t*>(base_ + offset), __ATOMIC_RELAXED);
  }
  void store_word(uint64_t offset, uint64_t value) {
    __atomic_store_n(reinterpret_cast<uint64_t*>(base_ + offset), value, __ATOMIC_RELAXED);
  }
  template <size_t kWords>
  void store_words(uint64_t offset, const uint64_t* from) {
#pragma GCC unroll 8
    for (size_t word = 0; word < kWords; ++word) {
      store_word(offset + word * 8, __atomic_load_n(from + word, __ATOMIC_RELAXED));
    }
  }
  void store(uint64_t offset, const void* from, size_t size_bytes) {
    constexpr size_t kLine = 64;
    char* to = base_ + offset;
    const char* source = static_cast<const char*>(from);
    if (size_bytes > 4 * kLine) {
      memcpy(to, source, size_bytes);
      return;
    }
    // A call would take longer.
    size_t at = 0;
    for (; at + kLine <= size_bytes; at += kLine) memcpy(to + at, source + at, kLine);
    for (; at < size_bytes; at += sizeof(uint64_t)) {
      uint64_t word;
      memcpy(&word, source + at, sizeof(word));
      store_word(offset + at, word);
    }
  }

 private:
  char* base_;
};

struct DirectBanks {
  DirectBank a, b;
  void fence() { std::atomic_thread_fence(std::memory_order_release); }
};

// Bank A, in which work is done, and bank B, which keeps what A held before until A is whole again.
class Banks {
 public:
  Bank a, b;

  // No store after it becomes lasting before every store in front of it has.
  void fence() {
#ifdef AUXIN_STORE_STEPS
    bank_step(-1, 0, 0);
#endif
    std::atomic_thread_fence(std::memory_order_release);
    if (__builtin_expect(synced_fd_ >= 0, 0)) sync();
  }
  // Whether DirectBanks would do the same: no store and no fence is more than an instruction.
  bool direct() const {
#ifdef AUXIN_STORE_STEPS
    return false;
#else
    return a.direct_ && b.direct_ && synced_fd_ < 0;
#endif
  }
  DirectBanks directly() { return {DirectBank(a.base_), DirectBank(b.base_)}; }

  // Gives every fence the force of fdatasync on `fd` (durability kPower).
  void sync_at_fences(int fd) { synced_fd_ = fd; }

 private:
  void sync();

  int synced_fd_ = -1;
};

}  // namespace auxin::stm
