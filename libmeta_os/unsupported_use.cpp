// SPDX-License-Identifier: Apache-2.0
#include "libmeta_os/unsupported_use.h"

#include <string.h>

namespace auxin::os {
namespace {

constexpr const char* kNames[kUnsupportedKinds] = {
    "",           "futex",        "atomic-wait",    "atomic-object", "atomic-shared-pointer",
    "lock-free",  "timed-future", "signal-handler", "shared-memory", "file",
    "process-shared", "io-uring", "raw-value",      "cancellation",  "timer",
    "robust-mutex", "map-missing", "map-too-wide"};

template <size_t kSize>
void copy_begin(char (&to)[kSize], const char* from) {
  const size_t length = strnlen(from, kSize - 1);
  memcpy(to, from, length);
  to[length] = '\0';
}

// The end of a path tells more than its beginning.
const char* end_that_fits(const char* text, size_t size) {
  const size_t length = strlen(text);
  return length < size ? text : text + (length - size + 1);
}

bool same(const UseRow& row, Unsupported use, const char* module, const char* symbol) {
  return row.use == use && strncmp(row.module, module, sizeof row.module - 1) == 0 &&
         strncmp(row.symbol, symbol, sizeof row.symbol - 1) == 0;
}

}  // namespace

const char* unsupported_name(Unsupported use) {
  const auto number = static_cast<uint16_t>(use);
  return number < kUnsupportedKinds ? kNames[number] : "";
}

bool UseTable::add(Unsupported use, const char* module, const char* symbol, unsigned replica) {
  if (use == Unsupported::kFile) symbol = end_that_fits(symbol, sizeof UseRow::symbol);
  const uint32_t bit = 1u << (replica % 32);
  uint32_t files = 0;
  for (UseRow& row : rows) {
    uint32_t state = row.state.load(std::memory_order_acquire);
    if (state == 0) {
      if (use == Unsupported::kFile && files >= kMaxFileUses) break;
      if (row.state.compare_exchange_strong(state, 1, std::memory_order_acq_rel)) {
        row.use = use;
        copy_begin(row.module, module);
        copy_begin(row.symbol, symbol);
        row.replicas.store(bit, std::memory_order_relaxed);
        row.state.store(2, std::memory_order_release);
        return true;
      }
    }
    if (state != 2) continue;  // somebody is at it: at worst there are two rows that say the same
    if (row.use == Unsupported::kFile) ++files;
    if (!same(row, use, module, symbol)) continue;
    return (row.replicas.fetch_or(bit, std::memory_order_acq_rel) & bit) == 0;
  }
  lost.fetch_add(1, std::memory_order_relaxed);
  return false;
}

void UseTable::add_all(const UseTable& other, unsigned replica) {
  for (const UseRow& row : other.rows) {
    if (row.state.load(std::memory_order_acquire) == 2) {
      add(row.use, row.module, row.symbol, replica);
    }
  }
}

}  // namespace auxin::os
