// SPDX-License-Identifier: Apache-2.0
//
// Everything that a process of the system is: one range of memory that the service saves. Whatever
// is not here (connections, messages that have come and are not received) is made anew after a
// death, with the others' help.
#pragma once

#include "message_log.h"

namespace manetho {

constexpr uint64_t kOutputRoom = 256;

struct alignas(4096) ProcessState {
  uint64_t interval;              // how many receipts there have been
  uint64_t received[kProcesses];  // messages of each process
  uint64_t covered[kProcesses];   // the interval of each process's last checkpoint, as is known
  // Outputs that wait for their commit: from `outputs_done` to `outputs_made`.
  uint64_t outputs_made, outputs_done;
  Output outputs[kOutputRoom];
  AntecedenceGraph graph;
  MessageLog sent[kProcesses];
  Application application;
};

}  // namespace manetho
