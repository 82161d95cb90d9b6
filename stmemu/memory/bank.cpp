// SPDX-License-Identifier: Apache-2.0
//
// Stores past a guard, and fences that reach the disk. Neither can be let fail: what follows such
// a store depends on it, so a failure halts the process, and the memory is as after a crash.
#include "stmemu/memory/bank.h"

#include <errno.h>
#include <unistd.h>

#include "stmemu/check.h"
#include "stmemu/protection/store_guard.h"

namespace auxin::stm {

void Bank::store_guarded(uint64_t offset, const void* from, size_t size_bytes) {
  if (guarded_ != nullptr) {
    const StoreAllowance allowance(key_);
    memcpy(guarded_ + offset, from, size_bytes);
    return;
  }
  const char* bytes = static_cast<const char*>(from);
  for (size_t done = 0; done < size_bytes;) {
    const ssize_t written = pwrite(fd_, bytes + done, size_bytes - done,
                                   static_cast<off_t>(file_offset_ + offset + done));
    if (written < 0 && errno == EINTR) continue;
    CHECK(written > 0, "a bank takes stores: its storage was reserved");
    done += static_cast<size_t>(written);
  }
}

void Banks::sync() {
  int result;
  do result = fdatasync(synced_fd_);
  while (result != 0 && errno == EINTR);
  CHECK(result == 0, "the disk keeps what it was given");
}

}  // namespace auxin::stm
