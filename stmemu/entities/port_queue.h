// SPDX-License-Identifier: Apache-2.0
//
// The queue of a stable port: a list of messages in the stable memory (paper 001, §3.2.3), as
// records.h draws it. Rights are not its business.
//
// The tail is claimed by a sender until its transaction ends, so messages stand in the order of the
// commits; the head by a receiver, so an aborted receive leaves its message where it was.
#pragma once

#include "stmemu/entities/entity_access.h"

namespace auxin::stm {

struct QueuedMessage {
  uint64_t remote = 0;             // MessageHead
  std::vector<MessagePort> ports;
  std::vector<char> bytes;
};

// Makes the ends of an empty queue, and stores their addresses in `port`.
void make_queue(EntityAccess& access, PortRecord* port);
// Frees everything of a queue; `each` sees its messages.
template <typename Each>
void free_queue(EntityAccess& access, const PortRecord& port, Each each);

// kFull; nothing is changed then.
void append(EntityAccess& access, const PortRecord& port, const void* bytes, uint64_t size_bytes,
            const std::vector<MessagePort>& ports, uint64_t remote);
// The first message; false if none came in `wait_us`.
bool take_first(EntityAccess& access, const PortRecord& port, uint64_t wait_us,
                QueuedMessage* message);
// Sent and received, of what is committed or this transaction's own.
void count_messages(EntityAccess& access, const PortRecord& port, uint64_t* sent,
                    uint64_t* received);

// --- in line ---

QueuedMessage read_message(EntityAccess& access, uint64_t address);

template <typename Each>
void free_queue(EntityAccess& access, const PortRecord& port, Each each) {
  access.read<PortTail>(port.tail);
  uint64_t node = access.read<PortHead>(port.head).node;
  access.free(port.tail);
  access.free(port.head);
  while (node != 0) {
    const PortNode links = access.read<PortNode>(node);
    access.free(node);
    if (links.next != 0) {
      each(read_message(access, links.message));
      access.free(links.message);
    }
    node = links.next;
  }
}

}  // namespace auxin::stm
