// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "stmemu/check.h"

namespace auxin::stm {

// From the kernel, by a raw system call. May block early in a machine's life, as getrandom does.
inline uint64_t random_word() {
  uint64_t word = 0;
  while (syscall(SYS_getrandom, &word, sizeof(word), 0) != static_cast<long>(sizeof(word))) {
    CHECK(errno == EINTR, "the kernel gives random bytes");
  }
  return word;
}

}  // namespace auxin::stm
