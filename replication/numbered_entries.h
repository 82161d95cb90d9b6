// SPDX-License-Identifier: Apache-2.0
//
// The entries of a directory of /proc whose names are numbers: threads, descriptors.
//
// Below every hook: raw system calls, no allocation, errno as it was.
#pragma once

#include <fcntl.h>

#include <cstdint>
#include <cstring>

#include "replication/futex.h"

namespace auxin::replication {

// Calls visit(int number) for each; what appears or goes meanwhile may be met or not. A directory
// that can't be opened has none.
template <typename Visit>
void for_each_numbered_entry(const char* path, Visit visit) {
  constexpr long kLengthOffset = 16, kNameOffset = 19;  // of linux_dirent64
  const long directory = raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path),
                                     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;
  alignas(8) char buffer[4096];
  for (;;) {
    const long size =
        raw_syscall(SYS_getdents64, directory, reinterpret_cast<long>(buffer), sizeof buffer);
    if (size <= 0) break;
    for (long offset = 0; offset < size;) {
      uint16_t length;
      memcpy(&length, buffer + offset + kLengthOffset, sizeof length);
      int number = -1;
      for (const char* digit = buffer + offset + kNameOffset; *digit >= '0' && *digit <= '9';
           ++digit)
        number = (number < 0 ? 0 : number) * 10 + (*digit - '0');
      offset += length;
      if (number >= 0) visit(number);
    }
  }
  raw_syscall(SYS_close, directory);
}

}  // namespace auxin::replication
