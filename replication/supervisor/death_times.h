// SPDX-License-Identifier: Apache-2.0
//
// When a replica died, as the kernel knows it: from its process events (the connector of
// netlink(7)), which carry a time stamp for the end of every thread.
//
// A convenience: it needs CAP_NET_ADMIN and the host's own network and process namespaces. Without
// them nothing is heard, and the times of a promotion count from its detection. A socket filter
// keeps the events of other processes away.
//
// Thread safety: one thread. Nothing here blocks.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "replication/supervisor/descriptor.h"

namespace auxin::supervisor {

class DeathTimes {
 public:
  DeathTimes();

  // Readable when something was told; -1: the kernel tells us nothing.
  int descriptor() const { return socket_.get(); }

  // The processes whose deaths are of interest from now on.
  void watch(const std::vector<int>& pids);

  // Reads what has been told so far.
  void read();

  // When the process was killed or left by exit_group with an error (CLOCK_MONOTONIC, ns): the
  // first of its threads to go. 0: not known. Kept for the latest few processes.
  uint64_t of(int pid) const;

 private:
  Descriptor socket_;
  std::vector<int> watched_;
  std::map<int, uint64_t> died_ns_;
};

}  // namespace auxin::supervisor
