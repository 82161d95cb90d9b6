// SPDX-License-Identifier: Apache-2.0
#include "stmemu/protection/store_guard.h"

#include <sys/mman.h>

namespace auxin::stm {
namespace {

// The register of the thread's rights: two bits a key, access denied and writing denied.
uint32_t read_rights() {
  uint32_t rights, zero;
  asm volatile("rdpkru" : "=a"(rights), "=d"(zero) : "c"(0));
  return rights;
}

void write_rights(uint32_t rights) {
  asm volatile("wrpkru" : : "a"(rights), "c"(0), "d"(0) : "memory");
}

constexpr uint32_t bits_of(int key) { return 3u << (2 * key); }

}  // namespace

int store_key() {
  static const int key = pkey_alloc(0, PKEY_DISABLE_ACCESS | PKEY_DISABLE_WRITE);
  return key;
}

StoreAllowance::StoreAllowance(int key) : before_(read_rights()) {
  write_rights(before_ & ~bits_of(key));
}

StoreAllowance::~StoreAllowance() { write_rights(before_); }

}  // namespace auxin::stm
