// SPDX-License-Identifier: Apache-2.0
#include "known_library.h"

namespace known {

int64_t Journal::append(int64_t value) {
  std::lock_guard<std::mutex> hold(lock_);
  return history_.append(value);
}

int64_t Journal::digest() {
  std::lock_guard<std::mutex> hold(lock_);
  return history_.digest();
}

std::vector<int64_t> Journal::values() {
  std::lock_guard<std::mutex> hold(lock_);
  return history_.values();
}

void Drawer::open() {
  lock_.lock();
  ++times_;
}

void Drawer::close() { lock_.unlock(); }

}  // namespace known
