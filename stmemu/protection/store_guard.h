// SPDX-License-Identifier: Apache-2.0
//
// How a process stores into banks that its own wild stores must not reach (mode kWindow).
//
// The banks are mapped for reading. Where the processor has protection keys, they are mapped once
// more, under a key that is denied to every thread; a store allows it to itself, for some 40 ns.
// Elsewhere a store is a system call (some 400 ns).
//
// Thread safety: any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace auxin::stm {

// A protection key for this process, allocated once and denied to all threads (the kernel denies
// keys to threads that were never given them); -1 if there are none.
int store_key();

// Allows access under the key to the calling thread while it stands.
class StoreAllowance {
 public:
  explicit StoreAllowance(int key);
  ~StoreAllowance();
  StoreAllowance(const StoreAllowance&) = delete;
  StoreAllowance& operator=(const StoreAllowance&) = delete;

 private:
  uint32_t before_;
};

}  // namespace auxin::stm
