// SPDX-License-Identifier: Apache-2.0
#include "replication/standard_output.h"

#include <fcntl.h>

#include "replication/futex.h"

namespace auxin::replication {
namespace {

constexpr int kAboveTheApplication = 500;  // out of the way of numbers that a server may expect
int kept[3] = {-1, -1, -1};

}  // namespace

void hold_standard_output_back() {
  const long sink =
      raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>("/dev/null"), O_WRONLY);
  if (sink < 0) return;
  for (int fd : {1, 2}) {
    const long copy = raw_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, kAboveTheApplication);
    if (copy < 0) continue;
    kept[fd] = static_cast<int>(copy);
    raw_syscall(SYS_dup3, sink, fd, 0);
  }
  raw_syscall(SYS_close, sink);
}

bool claim_standard_output(int fd) {
  for (int standard : {1, 2}) {
    if (fd < 0 || kept[standard] != fd) continue;
    raw_syscall(SYS_dup3, standard, fd, O_CLOEXEC);
    const long sink =
        raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>("/dev/null"), O_WRONLY);
    if (sink < 0) return true;
    raw_syscall(SYS_dup3, sink, standard, 0);
    raw_syscall(SYS_close, sink);
    return true;
  }
  return false;
}

void release_standard_output() {
  for (int fd : {1, 2}) {
    if (kept[fd] < 0) continue;
    raw_syscall(SYS_dup3, kept[fd], fd, 0);
    raw_syscall(SYS_close, kept[fd]);
    kept[fd] = -1;
  }
}

}  // namespace auxin::replication
