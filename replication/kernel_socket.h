// SPDX-License-Identifier: Apache-2.0
//
// What the kernel knows of a connection, and how a descriptor comes over from another process.
//
// Facts measured on TCP sockets (DESIGN 4.5): consumed = tcpi_bytes_received - SIOCINQ, less one
// for a FIN; handed over = tcpi_bytes_acked + SIOCOUTQ, plus one after our own shutdown(SHUT_WR) is
// acknowledged, and one for the SYN of a connection that we opened.
//
// Thread safety: none needed; system calls only. Nothing here enters a hook.
#pragma once

#include <cstdint>

namespace auxin::replication {

struct KernelCounts {
  bool known;             // false: not a TCP socket, or the calls failed
  bool dead;              // the connection is closed (reset): nothing can be sent any more
  uint64_t consumed;      // stream bytes that some process has read
  uint64_t handed_over;   // stream bytes that the kernel has taken for sending
};

// `opened_here`: the connection was made by connect. `write_shut`: shutdown(SHUT_WR) was done.
// Two calls each, repeated until they agree.
KernelCounts kernel_counts(int fd, bool opened_here, bool write_shut);

uint64_t socket_cookie(int fd);  // SO_COOKIE, 0 if it is no socket

// A duplicate (close-on-exec) of descriptor `fd` of process `pid`, or -errno. Needs the right to
// trace that process (same user).
int fetch_descriptor(int pid, int fd);

}  // namespace auxin::replication
